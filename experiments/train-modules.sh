#!/usr/bin/env bash
# Trains modules for the embedded encoder. XLRANK_SHARED names the folder that holds data/text/LANG.tsv.xz (plain text; last
# column) and data/squad-dev/{questions,paragraphs}.jsonl. Interrupted, it continues; what is finished is not trained again.
#   experiments/train-modules.sh [FOLDER [LANGUAGE ...]]     settings of the shipped modules; on two cores about two hours
set -euo pipefail
: "${XLRANK_SHARED:?set it to the folder that holds data/text and data/squad-dev}"
text=$XLRANK_SHARED/data/text
squad=$XLRANK_SHARED/data/squad-dev
out=${1:-results/modules}
languages=("${@:2}")
[ ${#languages[@]} -gt 0 ] || languages=(en ky)
licence="mixed, see data/modules/SOURCES.md"

# train MODULE ARGUMENTS...: unless it is there already.
train() {
  local module=$1
  shift
  [ -e "$out/$module/module.json" ] || xlrank train "$@" --out "$out/$module"
}

# 1. The prediction head that all language modules of the embedded base share (it was published without one).
train head/mlm head --text "$text/en.tsv.xz" --text "$text/ky.tsv.xz" --text "$text/tr.tsv.xz" --text "$text/ug.tsv.xz" \
  --text "$text/ru.tsv.xz" --text "$text/de.tsv.xz" --steps 160 --rate 2e-3 --save-every 80 --max-tokens 1200000 --length 96 \
  --licence "$licence"

# 2. Language adapters (MAD-X, invertible, reduction factor 2) by masked language modelling.
for lang in "${languages[@]}"; do
  train "language/$lang" language --lang "$lang" --text "$text/$lang.tsv.xz" --head "$out/head/mlm" --steps 120 --batch 32 --length 96 \
    --max-tokens 700000 --rate 1e-4 --save-every 60 --licence "$licence"
done

# 3. Training groups: questions with the answering paragraph, three hard negatives found by the bi-encoder and a random one.
groups=$out/squad-groups.jsonl
[ -e "$groups" ] || xlrank train pairs --questions "$squad/questions.jsonl" --paragraphs "$squad/paragraphs.jsonl" --limit 2400 --out "$groups"

# 4. The ranking adapter (reduction factor 16) on top of the frozen English language adapter, and the monoBERT baseline.
common=(--data "$groups" --pooling match --batch 8 --length 128 --licence "CC BY-SA 4.0 (SQuAD 2.0)")
train ranking/en ranking --kind adapter --on "$out/language/en" "${common[@]}" --steps 160 --rate 5e-4 --save-every 80
train ranking/monobert ranking --kind full "${common[@]}" --steps 220 --rate 5e-5 --save-every 110
