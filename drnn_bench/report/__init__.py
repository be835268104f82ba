"""`bench report`: records -> one HTML page, and the same charts as SVG files.

chart          what a chart is: plain data
group          lines of a board that one chart shows
final_charts   charts of finalists; time_charts, against the seconds of their training
trial_charts   charts of the trials of the search; search_charts, against random draws
overall_charts charts over all tasks and budgets
drawing        a net's dilations as SVG
sections       the content of the page, task by task, with warnings and provenance
page           the sections as HTML, from templates/; plotly_figure draws its charts
figures        the charts as SVG files, with matplotlib
files          writes the page and the figures

May import the rooms up to jobs.
"""
