// Charts come with the pages that show them.
