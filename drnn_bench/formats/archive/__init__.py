"""The kinds of file that the UCR/UEA archive has: a sequence a row.

ts, arff, ucr  a reader for each; ucr reads tables without a header
text_rows      the rows of such a file, and the numbers in a row
time_stamps    the time stamps of a .ts file
"""
