"""The languages of ISO 639-1 that nothing more is known of than their names and scripts."""

OTHERS = """
aa aar Latin Afar
ab abk Cyrillic Abkhaz
ae ave Avestan Avestan
af afr Latin Afrikaans
ak aka Latin Akan
am amh Ethiopic Amharic
an arg Latin Aragonese
as asm Bengali Assamese
av ava Cyrillic Avar
ay aym Latin Aymara
ba bak Cyrillic Bashkir
be bel Cyrillic Belarusian
bg bul Cyrillic Bulgarian
bi bis Latin Bislama
bm bam Latin Bambara
bo bod,tib Tibetan Tibetan
br bre Latin Breton
bs bos - Bosnian
ca cat Latin Catalan
ce che Cyrillic Chechen
ch cha Latin Chamorro
co cos Latin Corsican
cr cre - Cree
cs ces,cze Latin Czech
cu chu - Church Slavonic
cv chv Cyrillic Chuvash
cy cym,wel Latin Welsh
dv div Thaana Dhivehi
dz dzo Tibetan Dzongkha
ee ewe Latin Ewe
el ell,gre Greek Greek
eo epo Latin Esperanto
et est Latin Estonian
eu eus,baq Latin Basque
ff ful - Fula
fj fij Latin Fijian
fo fao Latin Faroese
fy fry Latin Frisian
ga gle Latin Irish
gd gla Latin Scottish Gaelic
gl glg Latin Galician
gn grn Latin Guarani
gu guj Gujarati Gujarati
gv glv Latin Manx
ha hau Latin Hausa
he heb Hebrew Hebrew
ho hmo Latin Hiri Motu
hr hrv Latin Croatian
ht hat Latin Haitian Creole
hy hye,arm Armenian Armenian
hz her Latin Herero
ia ina Latin Interlingua
ie ile Latin Interlingue
ig ibo Latin Igbo
ii iii Yi Nuosu
ik ipk Latin Inupiaq
io ido Latin Ido
is isl,ice Latin Icelandic
iu iku - Inuktitut
jv jav Latin Javanese
ka kat,geo Georgian Georgian
ki kik Latin Kikuyu
kj kua Latin Kwanyama
kl kal Latin Kalaallisut
km khm Khmer Khmer
kn kan Kannada Kannada
kr kau - Kanuri
ks kas - Kashmiri
ku kur - Kurdish
kv kom Cyrillic Komi
kw cor Latin Cornish
la lat Latin Latin
lb ltz Latin Luxembourgish
lg lug Latin Luganda
li lim Latin Limburgish
ln lin Latin Lingala
lo lao Lao Lao
lt lit Latin Lithuanian
lu lub Latin Luba-Katanga
lv lav Latin Latvian
mg mlg Latin Malagasy
mh mah Latin Marshallese
mi mri,mao Latin Maori
mk mkd,mac Cyrillic Macedonian
ml mal Malayalam Malayalam
mn mon - Mongolian
mr mar Devanagari Marathi
ms msa,may - Malay
mt mlt Latin Maltese
my mya,bur Myanmar Burmese
na nau Latin Nauruan
nd nde Latin Northern Ndebele
ne nep Devanagari Nepali
ng ndo Latin Ndonga
nn nno Latin Norwegian Nynorsk
nr nbl Latin Southern Ndebele
nv nav Latin Navajo
ny nya Latin Chichewa
oc oci Latin Occitan
oj oji - Ojibwe
om orm Latin Oromo
or ori Oriya Odia
os oss Cyrillic Ossetian
pa pan - Punjabi
pi pli - Pali
ps pus Arabic Pashto
qu que Latin Quechua
rm roh Latin Romansh
rn run Latin Kirundi
rw kin Latin Kinyarwanda
sa san - Sanskrit
sc srd Latin Sardinian
sd snd - Sindhi
se sme Latin Northern Sami
sg sag Latin Sango
si sin Sinhala Sinhala
sk slk,slo Latin Slovak
sl slv Latin Slovenian
sm smo Latin Samoan
sn sna Latin Shona
sq sqi,alb Latin Albanian
sr srp - Serbian
ss ssw Latin Swati
st sot Latin Sotho
su sun Latin Sundanese
ta tam Tamil Tamil
tg tgk Cyrillic Tajik
ti tir Ethiopic Tigrinya
tk tuk Latin Turkmen
tl tgl,fil Latin Tagalog
tn tsn Latin Tswana
to ton Latin Tongan
ts tso Latin Tsonga
tt tat Cyrillic Tatar
tw twi Latin Twi
ty tah Latin Tahitian
ur urd Arabic Urdu
ve ven Latin Venda
vi vie Latin Vietnamese
vo vol Latin Volapük
wa wln Latin Walloon
wo wol Latin Wolof
xh xho Latin Xhosa
yi yid Hebrew Yiddish
yo yor Latin Yoruba
za zha Latin Zhuang
zu zul Latin Zulu
"""
"""A language a line: code, three-letter codes, script (``-`` where several are usual), English name.

Kongo is missing: its code, ``kg``, is what the translations of CLEF's topics call Kyrgyz.
"""
