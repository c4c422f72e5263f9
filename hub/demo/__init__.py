"""The demo brand, Larkfell: invented people, their purchases and their words, told relative to the present."""
