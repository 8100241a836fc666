"""Search around the best placement: tabu, adjacent chips, doubtful nodes."""
