#!/bin/sh
# Trains a model of the box again, in its stages, and packs it:
#
#     DRAGOMAN_DATA=... sh pretrained/train.sh de-en|en-de|titles|g2p [KEY=VALUE ...]
#
# from the root of a clone, with Dragoman installed. The runs are written into runs/, the pack is
# runs/NAME.dragoman. Keys that are given hold for every stage: run.device=cuda run.threads=8. Called
# again, it goes on where it was interrupted. docs/data.md says where the data is from.
set -eu

name=${1:?which model? de-en, en-de, titles or g2p}
shift
last=

# stage RUN CONFIG KEY=VALUE ...: a training, begun anew or resumed.
stage() {
    last=runs/$1 config=configs/$2
    shift 2
    if [ -d "$last/checkpoints" ]; then
        dragoman-train "$config" "$@" --output "$last" --resume
    else
        dragoman-train "$config" "$@" --output "$last"
    fi
}

case $name in
de-en)
    stage de-en-1 de_en.yaml "$@"
    stage de-en-2 de_en.yaml finetune.init_from=runs/de-en-1 \
        optimizer.learning_rate=0.003 run.max_steps=8600 run.eval_every=1500 "$@"
    ;;
en-de)
    stage en-de en_de.yaml "$@"
    ;;
titles)
    stage titles-1 arxiv_titles.yaml "$@"
    stage titles-2 arxiv_titles.yaml finetune.init_from=runs/titles-1 \
        optimizer.learning_rate=0.002 optimizer.warmup_steps=50 run.max_steps=2700 "$@"
    stage titles-3 arxiv_titles.yaml finetune.init_from=runs/titles-2 \
        objective.risk_weight=0.95 objective.risk=rouge objective.risk_samples=6 objective.risk_sharpness=0.1 \
        optimizer.learning_rate=0.0003 optimizer.warmup_steps=20 optimizer.ema=0.99 \
        run.batch_tokens=6000 run.max_steps=120 run.eval_every=60 "$@"
    ;;
g2p)
    stage g2p cmudict_g2p.yaml "$@"
    ;;
*)
    echo "pretrained/train.sh: no model $name. Use de-en, en-de, titles or g2p." >&2
    exit 2
    ;;
esac
dragoman-pack "$last" --output "runs/$name.dragoman"
