#!/bin/sh
# Multi30k, English to German, as well as a recurrent model does it: with the German captions of its
# second task, translated back, or without. And a small, fast student of the model with captions.
#
#     DRAGOMAN_DATA=... sh benchmarks/multi30k.sh with-captions|without-captions|student FOLDER [KEY=VALUE ...]
#
# from the root of a clone, with Dragoman installed. FOLDER keeps the runs. Keys that are given hold
# for every training: run.device=cuda run.threads=8. Called again, it goes on where it was interrupted.
set -eu

what=${1:?with-captions, without-captions or student?}
folder=${2:?which folder?}
shift 2
config=configs/multi30k_en_de.yaml
real='{source: multi30k/train.en.gz, target: multi30k/train.de.gz'

# stage RUN KEY=VALUE ...: a training, begun anew or resumed.
stage() {
    run=$folder/$1
    shift
    if [ -d "$run/checkpoints" ]; then
        dragoman-train $config "$@" --output "$run" --resume
    else
        dragoman-train $config "$@" --output "$run"
    fi
}

case $what in
with-captions)
    # From German to English, to translate the captions back. R-Drop would take 2.5 times as long.
    stage back objective.rdrop=0 run.max_steps=1300 run.eval_every=650 \
        'data.train=[{source: multi30k/train.de.gz, target: multi30k/train.en.gz}]' \
        data.dev.source=multi30k/val.de.gz data.dev.target=multi30k/val.en.gz \
        data.source_language=German data.target_language=English "$@"
    # Samples, not the most probable translations (Edunov et al. 2018, section 5.1), but from ten
    # pieces: the smoothed labels have given all others too much (Graça et al. 2019).
    [ -e "$folder/captions.tsv" ] || dragoman-distill "$folder/back" --resume --threads 1 \
        --input "$DRAGOMAN_DATA/multi30k/captions.de.gz" --output "$folder/captions.tsv" \
        --beam-size 1 --temperature 1 --top-k 10 --precision int8 --split-sentences never
    both="data.train=[$real, weight: 3}, {files: $(realpath "$folder/captions.tsv"), source_column: 2, target_column: 1, tag: <back>}]"
    stage mixed objective.rdrop=0 model.dropout=0.2 run.max_steps=3600 run.eval_every=900 "$both" "$@"
    stage real "finetune.init_from=$folder/mixed" objective.rdrop=4 \
        optimizer.learning_rate=0.001 optimizer.warmup_steps=50 optimizer.ema=0.995 \
        run.max_steps=400 run.eval_every=100 "$@"
    stage final "finetune.init_from=$folder/real" objective.rdrop=4 model.dropout=0.2 \
        optimizer.learning_rate=0.003 optimizer.warmup_steps=100 \
        run.max_steps=1900 run.eval_every=380 "$both" "$@"
    ;;
without-captions)
    stage plain objective.rdrop=0 data.joined=0.1 run.max_steps=1000 run.eval_every=500 "$@"
    stage late "finetune.init_from=$folder/plain" objective.rdrop=4 data.joined=0.1 \
        optimizer.learning_rate=0.004 optimizer.warmup_steps=100 run.max_steps=1300 run.eval_every=260 "$@"
    stage alone "finetune.init_from=$folder/late" objective.rdrop=4 \
        optimizer.learning_rate=0.003 optimizer.warmup_steps=100 run.max_steps=1500 run.eval_every=300 "$@"
    ;;
student)
    # What the teacher writes for all English captions: sequence-level distillation (Kim & Rush 2016).
    for part in train captions; do
        [ -e "$folder/student.$part.tsv" ] || dragoman-distill "$folder/final" --resume --threads 1 \
            --input "$DRAGOMAN_DATA/multi30k/$part.en.gz" --output "$folder/student.$part.tsv" \
            --precision int8 --split-sentences never
    done
    config=configs/multi30k_en_de_small.yaml
    stage student model.input_feeding=false model.dropout=0.1 run.batch_tokens=6000 \
        run.max_steps=1600 run.eval_every=800 optimizer.warmup_steps=300 \
        "data.train=[{files: $(realpath "$folder")/student.*.tsv, source_column: 1, target_column: 2}]" "$@"
    ;;
*)
    echo "benchmarks/multi30k.sh: no $what. Use with-captions, without-captions or student." >&2
    exit 2
    ;;
esac
for search in 5 1; do
    dragoman-evaluate "$run" --beam-size "$search" --precision int8 --threads 1 \
        --source "$DRAGOMAN_DATA/multi30k/test_2016_flickr.en.gz" \
        --reference "$DRAGOMAN_DATA/multi30k/test_2016_flickr.de.gz"
done
