"""Docker networks for people: which there are, which nginx is in, joining and leaving.
May import: nothing."""
