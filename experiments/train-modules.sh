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

# missing MODULE: whether it is wanted, and not there already.
missing() {
  [ ${#wanted[@]} -eq 0 ] || [[ " ${wanted[*]} " == *" $1 "* ]] || return 1
  [ ! -e "$out/$1/module.json" ]
}

# train MODULE ARGUMENTS...: if it is missing.
train() {
  local module=$1
  shift
  ! missing "$module" || xlrank train "$@" --out "$out/$module"
}

# pairs FILE ARGUMENTS...: training data, unless they are there already.
pairs() {
  local file=$1
  shift
  [ -e "$file" ] || xlrank train pairs "$@" --out "$file"
}

# 1. Language adapters for late interaction (reduction factor 4), aligned with English: good pairs count more than word lists. Where
#    there are articles, batches of pairs and of inverse cloze come in turn.
weights=(flores200-dev=4 hornmt=3 cldr-names=0.5 tilflow-dictionary=0.5)
declare -A articles=(
  [ky]=$data/text/ky.tsv.xz
  [so]=$data/headlines/masakhanews.so.jsonl.xz
  [sw]=$data/headlines/masakhanews.sw.jsonl.xz
)
for lang in ug so ky sw tr fi fa zh; do
  case $lang in # the base knows some better than others: less to learn, and less of it to apply
    ky | ug | so | sw | tr) steps=240 scale=0.8 ;;
    zh) steps=160 scale=0.8 ;;
    fa) steps=160 scale=0.5 ;;
    fi) steps=100 scale=0.5 ;;
  esac
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
    --steps $steps --save-every 80 --scale $scale --half --licence "$licence"
done

# 2. The ranking adapter for late interaction (reduction factor 8), in English alone: headlines with a later passage of their article
#    (little of Reuters, whose titles are not written like today's), and questions with an answering paragraph.
news=$out/headlines.jsonl
wire=$out/wire.jsonl
questions=$out/squad.jsonl
headlines=$data/headlines
squad=(--questions "$data/squad-dev/questions.jsonl" --paragraphs "$data/squad-dev/paragraphs.jsonl")
if missing ranking/en; then
  pairs "$news" --articles "$headlines/allsides.en.jsonl.xz" --articles "$headlines/bbc.en.jsonl.xz"
  pairs "$wire" --articles "$headlines/reuters.en.jsonl.xz" --limit 3000
  pairs "$questions" "${squad[@]}" --negatives 0 --hard 0 --sentences 0 --limit 20000
fi
relevance=(--data "$questions")
for source in squad-train-part tydiqa boolq nq afriqa; do relevance+=(--data "$data/relevance/$source.en.jsonl.xz"); done
train ranking/en ranking --interaction late --data "$news" --share "$news=0.55" --data "$wire" --share "$wire=0.05" \
  "${relevance[@]}" --steps 300 --save-every 100 --setting warmup=0.1 --scale 0.6 --half --licence "$licence"

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
if missing ranking/cross-en || missing ranking/monobert; then pairs "$groups" "${squad[@]}" --limit 2400; fi
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
