"""The demo brand, Larkfell: invented people, what they buy and what they write, told up to the present."""
