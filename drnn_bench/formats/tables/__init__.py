"""csv, tsv and parquet: a row is a sequence, or a step of one.

opening    a file as a table; csv_text reads the header of a csv or tsv
roles      what the columns are for: labels, ids, times, splits
steps      the columns of a wide table in the order of the numbers in their names
form       which form the table has, and which columns are read
table      the columns and their values; times puts times written as text in order
long_form  the sequences of a table whose rows are steps
reader     puts these together
"""
