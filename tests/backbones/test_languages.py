import pytest

from tfautolabel.backbones.languages import language_of, other_backbones

SENTENCES = {
    "English": "The parcel was late and the box is torn, but the phone itself works.",
    "German": "Das Paket kam zu spät an und der Karton ist beschädigt.",
    "French": "Le colis est arrivé très tard et la boîte était abîmée.",
    "Spanish": "El paquete llegó muy tarde y la caja estaba rota.",
    "Italian": "Il pacco è arrivato tardi e la scatola non era intatta.",
    "Portuguese": "O pacote não chegou a tempo e a caixa foi danificada.",
    "Dutch": "Het pakket was te laat en de doos is niet heel.",
    "Polish": "Paczka nie dotarła na czas i to jest bardzo zła firma.",
    "Turkish": "Paket çok geç geldi ve bu kutu hasarlı gibi.",
    "Chinese": "包裹来得很晚，盒子也破了。",
    "Japanese": "荷物の到着が遅くて、箱も壊れていました。",
    "Korean": "소포가 늦게 도착했고 상자가 찢어졌습니다.",
    "Russian": "Посылка пришла поздно, коробка порвана.",
    "Arabic": "وصل الطرد متأخرا وكانت العلبة ممزقة",
    "Thai": "พัสดุมาถึงช้ามากและกล่องก็ขาด",
}


@pytest.mark.parametrize("language", SENTENCES)
def test_language_of_a_sentence(language):
    assert language_of([SENTENCES[language]]) == language


def test_most_texts_decide_and_what_says_nothing_does_not_vote():
    chinese = SENTENCES["Chinese"]
    assert language_of([chinese, SENTENCES["English"], chinese, "", "4711", "ok", "ok"]) == "Chinese"
    assert language_of(["", "\x00", "🙂🙂", "12 % + 3"]) is None
    assert language_of([]) is None
    assert language_of([f"the sign {chinese[:2]} is on the door and it is old"]) == "English"


def test_the_backbones_that_know_the_language_are_named_best_first():
    for handle, language, expected in [
        ("packaged:minilm-l6", "Chinese", ["packaged:e5-small", "packaged:use-multilingual-v3"]),
        ("packaged:minilm-l6", "German", ["packaged:e5-small", "packaged:use-multilingual-v3"]),
    ]:
        assert other_backbones(handle, [SENTENCES[language]]) == (language, expected)
    greek = ["Το πακέτο άργησε και το κουτί ήταν σκισμένο."]
    assert other_backbones("packaged:use-multilingual-v3", greek) == ("Greek", ["packaged:e5-small"])


@pytest.mark.parametrize(
    ("handle", "language"),
    [
        ("packaged:minilm-l6", "English"),
        ("packaged:use-multilingual-v3", "Chinese"),
        ("packaged:e5-small", "Thai"),
        ("hub:somewhere", "Chinese"),
        ("minilm-l6", "Chinese"),
        ("packaged:efficientnet-lite0", "Chinese"),
    ],
)
def test_no_word_where_all_is_well_or_unknown(handle, language):
    assert other_backbones(handle, [SENTENCES[language]]) is None
