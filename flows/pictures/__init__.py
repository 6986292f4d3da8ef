"""Pictures of a run, from its store alone: also while the run goes on, and without the user's code.

* `reading`: a run as a `Picture`, numbers that are few enough to draw; `thinning` says which evaluations those are.
* `loss_scale`: how losses are laid out, linear or logarithmic; `colours`: who has which; `ends`: the icons.
* `figures`: each plot as a figure of plotly's; `looks`: what they have in common.
* `page`: all of them as one HTML file, which needs no network; `page.html`, `page.css` and `page.js` are its parts.
* `static`: the loss picture as PNG or SVG, by matplotlib. `files` writes pictures.
* `upkeep`: the page of a run that goes on; `redraw` is the process that draws it.

plotly and matplotlib are imported by nothing but `looks`, `figures`, `page` and `static`.
"""
