"""Other people's binary interfaces as data: numbers and structures, written once. Nothing else stands here."""
