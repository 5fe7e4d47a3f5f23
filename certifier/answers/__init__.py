"""From what was found to the answer that a client gets: evidence, claim in words, certificate, prediction."""
