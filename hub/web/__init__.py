"""The faces: templates, styles and scripts of the pages, and what renders them."""
