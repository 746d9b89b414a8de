--- The style sheet of the page: light and dark, wide and narrow.
-- Figures are inline SVG, so that their ink follows the page's colours; gnuplot writes colours as attributes, which any
-- rule here overrides.
-- @module secateur.report.style
return [[
:root { --ink: #1c2126; --soft: #5b6670; --paper: #ffffff; --card: #f4f6f8; --line: #d9dfe4; --accent: #0b6aa8;
  --warn-ink: #7a4100; --warn: #fff4e2; --best: #e3f1fa; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6eaee; --soft: #9fabb6; --paper: #14181c; --card: #1d2328; --line: #353e46; --accent: #6bb8ec;
    --warn-ink: #ffcf8a; --warn: #33270f; --best: #17354a; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1120px; padding: 2rem 1.25rem 3rem; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.3rem; margin: 2.6rem 0 .8rem; padding-top: 1.2rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.02rem; margin: 1.4rem 0 .4rem; overflow-wrap: anywhere; }
header p { max-width: 46rem; margin: .3rem 0; color: var(--soft); }
header .caveat { display: inline-block; margin-top: .7rem; padding: .3rem .75rem; border-radius: 6px; font-size: .9rem;
  background: var(--warn); color: var(--warn-ink); }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(205px, 1fr)); gap: .8rem; margin: 1.6rem 0 0; }
.card { background: var(--card); border-radius: 10px; padding: .9rem 1rem; min-width: 0; }
.card b { display: block; font-size: 1.3rem; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.card span { color: var(--soft); font-size: .87rem; overflow-wrap: anywhere; }
.wide { overflow-x: auto; margin: 0 0 1.2rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .93rem; }
caption { caption-side: bottom; text-align: left; color: var(--soft); font-size: .87rem; padding-top: .6rem;
  max-width: min(46rem, calc(100vw - 2.5rem)); position: sticky; left: 0; }
th, td { padding: .36rem .8rem; text-align: left; white-space: nowrap; vertical-align: top; }
th:first-child, td:first-child { padding-left: .2rem; }
tbody th.class, thead tr + tr th:first-child { padding-left: .8rem; }
thead th { border-bottom: 1px solid var(--ink); font-weight: 600; vertical-align: bottom; }
tbody th { font-weight: 500; }
table:not(.settings) { border-top: 2px solid var(--ink); border-bottom: 2px solid var(--ink); }
tr.first > * { border-top: 1px solid var(--line); }
.drops th[colspan] { text-align: center; border-bottom: 1px solid var(--line); }
.drops td strong { background: var(--best); border-radius: 4px; padding: .1rem .3rem; margin: -.1rem -.3rem; }
.long { white-space: normal; overflow-wrap: anywhere; min-width: 12rem; max-width: 20rem; }
td small { color: var(--soft); font-size: .8rem; }
.settings td { white-space: normal; overflow-wrap: anywhere; }
.settings th { color: var(--soft); font-weight: 400; }
.panels { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(320px, 100%), 1fr)); gap: .6rem; }
figure { margin: 0; }
figure.panel svg { width: 100%; max-width: 460px; height: auto; display: block; }
figure.overview svg { max-width: none; display: block; }
figcaption { font-size: .87rem; color: var(--soft); text-align: center; padding-top: .25rem; }
.heatmaps { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(150px, 44%), 1fr)); gap: .8rem;
  max-width: 900px; }
.heatmaps img { width: 100%; image-rendering: auto; border-radius: 6px; display: block; background: #000; }
details { margin: .4rem 0; }
summary { cursor: pointer; color: var(--accent); padding: .2rem 0; }
footer { margin-top: 3rem; color: var(--soft); font-size: .87rem; border-top: 1px solid var(--line); }
svg rect[fill="#ffffff"] { fill: none; }
svg [fill="black"], svg [fill="rgb(34,34,34)"] { fill: var(--ink); }
svg [stroke="black"], svg [stroke^="rgb( 68"] { stroke: var(--ink); }
svg g[color="black"] { color: var(--ink); }
@media (prefers-color-scheme: dark) {
  svg [stroke^="rgb( 85"], svg [stroke^="rgb( 86"] { stroke: #aab4bd; }
  svg [stroke^="rgb(221"] { stroke: #333c44; }
  svg [stroke^="rgb(  0, 114"] { stroke: #4aa8e6; }
  svg [color^="rgb(  0, 114"] { color: #4aa8e6; }
  svg [stroke^="rgb(213"] { stroke: #f08a3c; }
  svg [color^="rgb(213"] { color: #f08a3c; }
  svg [stroke^="rgb(  0, 158"] { stroke: #2fc79a; }
  svg [color^="rgb(  0, 158"] { color: #2fc79a; }
}
@media (max-width: 560px) {
  body { padding: 1.2rem .9rem 2rem; font-size: 15px; }
  h1 { font-size: 1.5rem; }
  th, td { padding: .32rem .5rem; }
}
@media print { body { max-width: none; } .wide { overflow: visible; } }
]]
