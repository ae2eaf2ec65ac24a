"""Extensions of Feast that several exercises share; this package depends on feast only."""
