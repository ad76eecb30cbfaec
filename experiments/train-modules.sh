#!/usr/bin/env bash
# Trains the modules of the embedded encoder. XLRANK_SHARED names the folder that holds data/text/LANG.tsv.xz (plain text; last
# column) and data/squad-dev/{questions,paragraphs}.jsonl. Interrupted, it continues; what is finished is not trained again.
#   experiments/train-modules.sh [FOLDER [LANGUAGE ...]]     settings of the shipped modules; about three hours of two cores
set -euo pipefail
: "${XLRANK_SHARED:?set it to the folder that holds data/text and data/squad-dev}"
text=$XLRANK_SHARED/data/text
squad=$XLRANK_SHARED/data/squad-dev
out=${1:-results/modules}
all=(ky ug tr sw so en de it fi ru fa zh)
languages=("${@:2}")
[ ${#languages[@]} -gt 0 ] || languages=("${all[@]}")
licence="mixed, see data/modules/SOURCES.md"

# train MODULE ARGUMENTS...: unless it is there already.
train() {
  local module=$1
  shift
  [ -e "$out/$module/module.json" ] || xlrank train "$@" --out "$out/$module"
}

# 1. The prediction head that all language modules of the embedded base share (it was published without one).
texts=()
for lang in "${all[@]}"; do texts+=(--text "$text/$lang.tsv.xz"); done
train head/mlm head "${texts[@]}" --steps 200 --rate 2e-3 --save-every 50 --max-tokens 2400000 --length 96 --licence "$licence"

# 2. Language adapters (MAD-X, invertible, reduction factor 2) by masked language modelling.
for lang in "${languages[@]}"; do
  train "language/$lang" language --lang "$lang" --text "$text/$lang.tsv.xz" --head "$out/head/mlm" --steps 280 \
    --batch 32 --length 96 --max-tokens 1500000 --rate 1e-4 --save-every 70 --half --licence "$licence"
done

# 3. Training groups: questions with the answering paragraph, three hard negatives found by the bi-encoder and a random one.
groups=$out/squad-groups.jsonl
[ -e "$groups" ] || xlrank train pairs --questions "$squad/questions.jsonl" --paragraphs "$squad/paragraphs.jsonl" --limit 2400 --out "$groups"

# 4. The ranking adapter (reduction factor 16) on top of the frozen English language adapter, and the monoBERT baseline.
common=(--data "$groups" --pooling match --batch 8 --length 128 --steps 220 --save-every 55 --licence "CC BY-SA 4.0 (SQuAD 2.0)")
train ranking/en ranking --kind adapter --on "$out/language/en" "${common[@]}" --rate 5e-4
train ranking/monobert ranking --kind full "${common[@]}" --rate 5e-5
