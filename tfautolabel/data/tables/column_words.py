"""Words for the columns of tables in languages other than English, in small letters and without accents."""

from __future__ import annotations

TEXT_WORDS = (
    "texto", "texte", "testo", "tekst", "satz", "phrase", "frase", "oracion", "nachricht", "rezension",
    "bewertungstext", "inhalt", "contenu", "contenido", "conteudo", "contenuto", "mensaje", "mensagem",
    "messaggio", "bericht", "resena", "opinion", "avis", "recensione", "zin", "zdanie", "текст",
    "предложение", "отзыв", "сообщение", "metin", "cumle", "文本", "正文", "内容", "句子", "评论",
    "テキスト", "本文", "文章", "文", "レビュー", "텍스트", "본문", "문장", "리뷰", "نص",
)  # fmt: skip
"""Texts: Spanish, Portuguese, French, Italian, German, Dutch, Polish, Russian, Turkish, Chinese, …"""

PLACE_WORDS = (
    "bild", "bilddatei", "datei", "dateiname", "dateipfad", "pfad", "foto", "fichier", "chemin",
    "nom_fichier", "nom_du_fichier", "imagen", "archivo", "nombre_archivo", "fichero", "ruta", "imagem",
    "arquivo", "caminho", "immagine", "percorso", "afbeelding", "bestand", "bestandsnaam", "obraz",
    "zdjecie", "plik", "nazwa_pliku", "изображение", "картинка", "файл", "имя_файла", "путь", "фото",
    "аудио", "图片", "图像", "照片", "文件", "文件名", "路径", "音频", "画像", "ファイル", "ファイル名",
    "音声", "이미지", "사진", "파일", "파일명", "경로",
)  # fmt: skip
"""Files and paths, in the same languages."""

LABEL_WORDS = (
    "etikett", "klasse", "kategorie", "stimmung", "thema", "etiquette", "classe", "categorie", "etiqueta",
    "clase", "categoria", "sentimiento", "sentimento", "tema", "rotulo", "etichetta", "etykieta", "klasa",
    "kategoria", "метка", "класс", "категория", "тональность", "etiket", "sinif", "kategori", "标签",
    "標籤", "类别", "類別", "分类", "情感", "ラベル", "クラス", "カテゴリ", "カテゴリー", "分類", "레이블",
    "라벨", "클래스", "분류", "카테고리", "감정", "species", "breed", "emotion", "polarity", "stance",
    "genre", "diagnosis", "dx",
)  # fmt: skip
"""Labels, in the same languages; and English words for kinds of labels, which are weaker than those words."""
