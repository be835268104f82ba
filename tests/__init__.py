"""The tests: a folder for each room of `drnn_bench`, and `support` for what they share."""
