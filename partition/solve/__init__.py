"""The front door: one question in, one result out, in one process or several."""
