"""The words and sentence frames of the demo's corpus, in German and English.

A frame is a pair of sentences with the same slots; `training.demo.demo_corpus` fills a slot in both
languages at once. The German slots carry their case in their name where it shows.
"""

from typing import NamedTuple


class Noun(NamedTuple):
    """A countable noun with what agreement needs; the English plural may be irregular."""

    german: str
    gender: str
    """"m", "f" or "n"."""
    german_plural: str
    german_plural_dative: str
    english: str
    english_plural: str


DEFINITE_NOMINATIVE = {"m": "der", "f": "die", "n": "das"}
DEFINITE_ACCUSATIVE = {"m": "den", "f": "die", "n": "das"}
INDEFINITE_ACCUSATIVE = {"m": "einen", "f": "eine", "n": "ein"}

PEOPLE = (
    Noun("Kind", "n", "Kinder", "Kindern", "child", "children"),
    Noun("Schüler", "m", "Schüler", "Schülern", "student", "students"),
    Noun("Frau", "f", "Frauen", "Frauen", "woman", "women"),
    Noun("Mann", "m", "Männer", "Männern", "man", "men"),
    Noun("Gast", "m", "Gäste", "Gästen", "guest", "guests"),
    Noun("Lehrerin", "f", "Lehrerinnen", "Lehrerinnen", "teacher", "teachers"),
    Noun("Nachbar", "m", "Nachbarn", "Nachbarn", "neighbor", "neighbors"),
)
GOODS = (
    Noun("Apfel", "m", "Äpfel", "Äpfeln", "apple", "apples"),
    Noun("Ei", "n", "Eier", "Eiern", "egg", "eggs"),
    Noun("Buch", "n", "Bücher", "Büchern", "book", "books"),
    Noun("Stuhl", "m", "Stühle", "Stühlen", "chair", "chairs"),
    Noun("Lampe", "f", "Lampen", "Lampen", "lamp", "lamps"),
    Noun("Karte", "f", "Karten", "Karten", "ticket", "tickets"),
    Noun("Brot", "n", "Brote", "Broten", "loaf", "loaves"),
    Noun("Fahrrad", "n", "Fahrräder", "Fahrrädern", "bicycle", "bicycles"),
    Noun("Messer", "n", "Messer", "Messern", "knife", "knives"),
)
UNITS = (
    Noun("Kilo", "n", "Kilo", "Kilo", "kilo", "kilos"),
    Noun("Liter", "m", "Liter", "Litern", "liter", "liters"),
    Noun("Gramm", "n", "Gramm", "Gramm", "gram", "grams"),
    Noun("Tasse", "f", "Tassen", "Tassen", "cup", "cups"),
    Noun("Flasche", "f", "Flaschen", "Flaschen", "bottle", "bottles"),
)
SUBSTANCES = (
    ("Mehl", "flour"),
    ("Zucker", "sugar"),
    ("Milch", "milk"),
    ("Wasser", "water"),
    ("Reis", "rice"),
    ("Öl", "oil"),
    ("Honig", "honey"),
    ("Saft", "juice"),
)
PERSONS = (
    ("Anna", "Anna"),
    ("Paul", "Paul"),
    ("Maria", "Maria"),
    ("Peter", "Peter"),
    ("mein Bruder", "my brother"),
    ("meine Schwester", "my sister"),
    ("unser Lehrer", "our teacher"),
    ("seine Mutter", "his mother"),
    ("ihr Vater", "her father"),
)
EVENTS = (
    ("das Konzert", "the concert"),
    ("der Film", "the movie"),
    ("die Prüfung", "the exam"),
    ("das Spiel", "the game"),
    ("der Kurs", "the course"),
    ("die Reise", "the trip"),
    ("die Ausstellung", "the exhibition"),
)
PLACES = (
    ("das Museum", "the museum"),
    ("die Bibliothek", "the library"),
    ("der Laden", "the store"),
    ("das Schwimmbad", "the pool"),
    ("die Bäckerei", "the bakery"),
    ("der Markt", "the market"),
)
VEHICLES = (
    ("der Zug", "the train"),
    ("der Bus", "the bus"),
    ("das Schiff", "the ship"),
    ("die Straßenbahn", "the tram"),
)
WEEKDAYS = (
    ("Montag", "Monday"),
    ("Dienstag", "Tuesday"),
    ("Mittwoch", "Wednesday"),
    ("Donnerstag", "Thursday"),
    ("Freitag", "Friday"),
    ("Samstag", "Saturday"),
    ("Sonntag", "Sunday"),
)
MONTHS = (
    ("Januar", "January"),
    ("Februar", "February"),
    ("März", "March"),
    ("April", "April"),
    ("Mai", "May"),
    ("Juni", "June"),
    ("Juli", "July"),
    ("August", "August"),
    ("September", "September"),
    ("Oktober", "October"),
    ("November", "November"),
    ("Dezember", "December"),
)

FRAMES = (
    # Counts: nominative, accusative and dative.
    ("{people} warten vor dem Haus.", "{people} are waiting in front of the house."),
    ("{people} wohnen in diesem Dorf.", "{people} live in this village."),
    ("gestern waren {people} im Park.", "yesterday {people} were in the park."),
    ("{person} hat {goods} gekauft.", "{person} bought {goods}."),
    ("wir haben {goods} im Keller gefunden.", "we found {goods} in the basement."),
    ("{person} braucht heute {goods}.", "{person} needs {goods} today."),
    ("{person} hat mit {people_dative} gesprochen.", "{person} spoke with {people_dative}."),
    ("wir fahren mit {people_dative} nach Berlin.", "we are going to Berlin with {people_dative}."),
    # Measures and numbers that name a thing.
    ("{person} ist {age} Jahre alt.", "{person} is {age} years old."),
    ("der Weg ist {length} Kilometer lang.", "the path is {length} kilometers long."),
    ("das steht auf Seite {label}.", "that is on page {label}."),
    ("{person} wohnt in Zimmer {label}.", "{person} is staying in room {label}."),
    # Quantities.
    ("wir brauchen {quantity}.", "we need {quantity}."),
    ("kauf bitte {quantity}!", "please buy {quantity}!"),
    ("{person} hat {quantity} bestellt.", "{person} ordered {quantity}."),
    # Prices.
    ("{subject} kostet {price}.", "{subject} costs {price}."),
    ("{person} hat {object} für {price} verkauft.", "{person} sold {object} for {price}."),
    ("ich habe nur {price} dabei.", "I only have {price} with me."),
    ("{person} muss {price} bezahlen.", "{person} has to pay {price}."),
    ("für {price} bekommst du {object}.", "for {price} you get {object}."),
    ("{many_goods} kosten zusammen {price}.", "{many_goods} cost {price} together."),
    ("{person} zahlt {price} für {goods}.", "{person} pays {price} for {goods}."),
    # Dates.
    ("heute ist {date_nominative}.", "today is {date_nominative}."),
    ("{date_nominative} ist ein Feiertag.", "{date_nominative} is a holiday."),
    ("{event} beginnt am {date}.", "{event} starts on {date}."),
    ("am {date} hat {person} Geburtstag.", "on {date} it is the birthday of {person}."),
    ("{person} kommt am {date} zurück.", "{person} is coming back on {date}."),
    ("{person} wurde am {full_date} geboren.", "{person} was born on {full_date}."),
    ("der Brief ist vom {full_date}.", "the letter is from {full_date}."),
    # Clock times.
    ("es ist {time}.", "it is {time}."),
    ("{vehicle} fährt um {time} ab.", "{vehicle} leaves at {time}."),
    ("{vehicle} kommt erst um {time} an.", "{vehicle} does not arrive until {time}."),
    ("wir treffen uns am {weekday} um {time}.", "we are meeting on {weekday} at {time}."),
    ("{event} endet am {weekday} um {time}.", "{event} ends on {weekday} at {time}."),
    ("{place} ist von {time} bis {end} geöffnet.", "{place} is open from {time} to {end}."),
    # Two kinds together.
    ("{event} beginnt am {date} um {time}.", "{event} starts on {date} at {time}."),
    ("am {date} fährt {vehicle} um {time} ab.", "on {date} {vehicle} leaves at {time}."),
    ("{event} um {time} kostet {price}.", "{event} at {time} costs {price}."),
    ("am {weekday} kommen {people} um {time}.", "on {weekday} {people} are coming at {time}."),
)  # fmt: skip
