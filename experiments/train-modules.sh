#!/usr/bin/env bash
# Trains the shipped modules of the embedded encoder. XLRANK_SHARED names the folder that holds data/{text,parallel,headlines,relevance,
# squad-dev}. Interrupted, it continues; what is finished is not trained again. At the end it prints what each module cost.
#   experiments/train-modules.sh [FOLDER [MODULE ...]]     e.g. results/modules language/ky ranking/en; by default all of them
set -euo pipefail
: "${XLRANK_SHARED:?set it to the folder that holds data/text, data/parallel, data/headlines, data/relevance and data/squad-dev}"
data=$XLRANK_SHARED/data
out=${1:-results/modules}
wanted=("${@:2}")
all=(ky ug tr sw so en de it fi ru fa zh)
licence="mixed, see data/modules/SOURCES.md"

# train MODULE ARGUMENTS...: if it is wanted, and not there already.
train() {
  local module=$1
  shift
  [ ${#wanted[@]} -eq 0 ] || [[ " ${wanted[*]} " == *" $module "* ]] || return 0
  [ -e "$out/$module/module.json" ] || xlrank train "$@" --out "$out/$module"
}

# 1. Language adapters for late interaction (reduction factor 4), aligned with English: good pairs count more than word lists. Where
#    there are articles, batches of pairs and of inverse cloze come in turn.
weights=(flores200-dev=4 hornmt=3 cldr-names=0.5 tilflow-dictionary=0.5)
declare -A articles=(
  [ky]=$data/text/ky.tsv.xz
  [so]=$data/headlines/masakhanews.so.jsonl.xz
  [sw]=$data/headlines/masakhanews.sw.jsonl.xz
)
for lang in ug so ky sw tr de it fi ru fa zh; do
  case $lang in ky | ug | so | sw | tr) steps=240 ;; *) steps=160 ;; esac # the base knows the others well
  if [ -n "${articles[$lang]:-}" ]; then
    learns=(--objective align+ict+hold --documents "${articles[$lang]}")
  else
    learns=(--objective align)
  fi
  pairs=$data/parallel/$lang.tsv.xz
  sources=$(xz -dc "$pairs" | cut -f1 | sort -u)
  for weight in "${weights[@]}"; do
    grep -qxF "${weight%=*}" <<<"$sources" && learns+=(--weight "$weight")
  done
  train "language/$lang" language --lang "$lang" "${learns[@]}" --parallel "$pairs" \
    --steps $steps --save-every 80 --scale 0.8 --half --licence "$licence"
done

# 2. The ranking adapter for late interaction (reduction factor 8), in English alone: half headlines with a later passage of their article,
#    half questions with an answering paragraph.
news=$out/headlines.jsonl
questions=$out/squad.jsonl
[ -e "$news" ] || xlrank train pairs --articles "$data/headlines/allsides.en.jsonl.xz" --articles "$data/headlines/bbc.en.jsonl.xz" --out "$news"
squad=(--questions "$data/squad-dev/questions.jsonl" --paragraphs "$data/squad-dev/paragraphs.jsonl")
[ -e "$questions" ] || xlrank train pairs "${squad[@]}" --negatives 0 --hard 0 --sentences 0 --limit 20000 --out "$questions"
train ranking/en ranking --interaction late --data "$news" --share "$news=0.5" --data "$questions" \
  --data "$data/relevance/tydiqa.en.jsonl.xz" --data "$data/relevance/boolq.en.jsonl.xz" --data "$data/relevance/nq.en.jsonl.xz" \
  --steps 500 --save-every 100 --setting warmup=0.08 --scale 0.6 --half --licence "$licence"

# 3. The cross-encoders: the prediction head that all language modules by masked language modelling share (the embedded base was published
#    without one), MAD-X adapters (invertible, reduction factor 2), the ranking adapter on the English one, and monoBERT.
text=$data/text
texts=()
for lang in "${all[@]}"; do texts+=(--text "$text/$lang.tsv.xz"); done
train head/mlm head "${texts[@]}" --steps 200 --rate 2e-3 --save-every 50 --max-tokens 2400000 --length 96 --licence "$licence"
for lang in "${all[@]}"; do
  train "mlm/$lang" language --lang "$lang" --text "$text/$lang.tsv.xz" --head "$out/head/mlm" --steps 280 \
    --batch 32 --length 96 --max-tokens 1500000 --rate 1e-4 --save-every 70 --half --licence "$licence"
done
groups=$out/squad-groups.jsonl
[ -e "$groups" ] || xlrank train pairs "${squad[@]}" --limit 2400 --out "$groups"
common=(--data "$groups" --pooling match --batch 8 --length 128 --steps 220 --save-every 55 --licence "CC BY-SA 4.0 (SQuAD 2.0)")
train ranking/cross-en ranking --kind adapter --on "$out/mlm/en" "${common[@]}" --rate 5e-4
train ranking/monobert ranking --kind full "${common[@]}" --rate 5e-5

# 4. What each cost.
python - "$out" <<'END'
import json, pathlib, sys

out = pathlib.Path(sys.argv[1])
for card in sorted(out.rglob("module.json")):
    training = json.loads(card.read_text(encoding="utf-8"))["training"]
    losses = "{heldout_loss_before:.2f} to {heldout_loss:.2f}".format(**training)
    print(f"{card.parent.relative_to(out)}: {training['seconds'] / 60:.1f} minutes, {training['steps']} steps, held-out loss {losses}")
END
