"""The catalogue has what the configs read, and says what a licence asks for."""

from pathlib import Path

import pytest

from training.config.train_config import load_config
from training.corpora.catalogue import CATALOGUE, PublicSet, describe
from training.data.readers import input_files

GENERATED = ("demo", "frames_to_distance", "rewrites")
BY_HAND = ("cmudict_g2p", "de_en", "en_de", "sentence_compression", "traffic")
"""Some or all of their data is prepared by hand, as they say."""
OTHERS = {Path(f"configs/{name}.yaml") for name in (*GENERATED, *BY_HAND)}
CONFIGS = sorted(set(Path("configs").glob("*.yaml")) - OTHERS)


@pytest.mark.parametrize("path", CONFIGS, ids=str)
def test_what_the_configs_read_is_what_is_fetched(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRAGOMAN_DATA", str(tmp_path))
    for public in CATALOGUE:
        (tmp_path / public.name).mkdir()
        for name in public.files:
            (tmp_path / public.name / name).touch()
    data = load_config(path).data
    for corpus in (*data.train, data.dev):
        assert len(list(input_files(corpus, data))) == 2  # raises if one is missing


@pytest.mark.parametrize("public", CATALOGUE, ids=lambda public: public.name)
def test_every_set_names_its_origin_and_licence(public: PublicSet) -> None:
    text = describe(public)
    for part in (public.origin, public.licence, public.attribution, public.models):
        assert part
        assert part in text
    config = {"multi30k": "multi30k_en_de", "tatoeba-de-en": "tatoeba_de_en"}.get(
        public.name, "arxiv_titles"
    )
    licence = load_config(Path(f"configs/{config}.yaml")).data.license
    assert set(licence.split()) & set(public.licence.split()) >= {licence.split()[-1]}
