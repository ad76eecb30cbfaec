#!/usr/bin/env bash
# Trains the shipped modules anew, exactly as they were made. XLRANK_SHARED names the folder that holds
# data/text/LANG.tsv.xz (plain text; last column) and data/squad-dev/{questions,paragraphs}.jsonl.
# On two cores without bf16 this takes about two hours. Interrupted, it continues from the last checkpoint.
set -euo pipefail
: "${XLRANK_SHARED:?set it to the folder that holds data/text and data/squad-dev}"
text=$XLRANK_SHARED/data/text
squad=$XLRANK_SHARED/data/squad-dev
out=${1:-data/modules}
licence="mixed, see data/modules/SOURCES.md"

# 1. The prediction head that all language modules of the embedded base share (it was published without one).
xlrank train head --text "$text/en.tsv.xz" --text "$text/ky.tsv.xz" --text "$text/tr.tsv.xz" --text "$text/ug.tsv.xz" \
  --text "$text/ru.tsv.xz" --text "$text/de.tsv.xz" --steps 160 --rate 2e-3 --save-every 80 --max-tokens 1200000 --length 96 \
  --licence "$licence" --out "$out/head/mlm"

# 2. Language adapters (MAD-X, invertible, reduction factor 2) by masked language modelling.
for lang in en ky; do
  xlrank train language --lang $lang --text "$text/$lang.tsv.xz" --steps 120 --batch 32 --length 96 --max-tokens 700000 \
    --rate 1e-4 --save-every 60 --licence "$licence" --out "$out/language/$lang"
done

# 3. Training groups: questions with the answering paragraph, three hard negatives found by the bi-encoder and a random one.
mkdir -p results
xlrank train pairs --questions "$squad/questions.jsonl" --paragraphs "$squad/paragraphs.jsonl" --limit 2400 --out results/squad-groups.jsonl

# 4. The ranking adapter (reduction factor 16) on top of the frozen English language adapter, and the monoBERT baseline.
licence="CC BY-SA 4.0 (SQuAD 2.0)"
common=(--data results/squad-groups.jsonl --pooling match --batch 8 --length 128 --licence "$licence")
xlrank train ranking --kind adapter --on "$out/language/en" "${common[@]}" --steps 160 --rate 5e-4 --save-every 80 --out "$out/ranking/en"
xlrank train ranking --kind full "${common[@]}" --steps 220 --rate 5e-5 --save-every 110 --out "$out/ranking/monobert"
