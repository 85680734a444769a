"""How the page looks: light and dark, on paper, and on a phone."""

CSS = """
:root {
  --ground: #f4f6f8; --paper: #ffffff; --ink: #18202b; --dim: #55606f; --line: #dbe1e8; --soft: #eef1f5;
  --link: #1a56b0;
  --ok: #17693f; --ok-soft: #e2f4ea; --ok-bar: #2c9a62;
  --warn: #7a4b00; --warn-soft: #fff0cf; --warn-bar: #d1890b;
  --bad: #a3211a; --bad-soft: #fde6e4; --bad-bar: #cf3b32;
  --note: #44505f; --note-soft: #e8ecf1;
  --mono: ui-monospace, "SFMono-Regular", "Cascadia Mono", "DejaVu Sans Mono", Menlo, Consolas, monospace;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #10151b; --paper: #181f28; --ink: #e7ebf0; --dim: #a7b2c0; --line: #2d3846; --soft: #202934;
    --link: #8dbbff;
    --ok: #7fdcab; --ok-soft: #143526; --ok-bar: #3fb57d;
    --warn: #f3c76d; --warn-soft: #3b2d0d; --warn-bar: #d99a26;
    --bad: #ffaaa2; --bad-soft: #46201d; --bad-bar: #e2584e;
    --note: #b9c4d1; --note-soft: #27313d;
  }
}
* { box-sizing: border-box; }
html { scroll-behavior: smooth; -webkit-text-size-adjust: 100%; }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
body {
  margin: 0; background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif;
  overflow-wrap: anywhere;
}
header, main, footer { max-width: 72rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 2rem; }
footer { padding-bottom: 2rem; color: var(--dim); font-size: .875rem; }
a { color: var(--link); }
a:focus-visible, summary:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; border-radius: 4px; }
.skip { position: absolute; left: -99rem; }
.skip:focus { left: 1rem; top: .5rem; background: var(--paper); padding: .5rem 1rem; z-index: 1; }
h1 { margin: 0; font-size: 2rem; line-height: 1.2; display: flex; flex-wrap: wrap; gap: .25rem .75rem;
  align-items: center; }
h1 .badge { font-size: 1rem; }
h2 { margin: 0 0 .25rem; font-size: 1.25rem; }
h3 { margin: 1rem 0 .25rem; font-size: .875rem; color: var(--dim); }
.eyebrow { margin: 0; color: var(--dim); }
.lead { margin: .5rem 0 1.25rem; }
.dim, .note { color: var(--dim); }
.note { margin: 0 0 1rem; }
.empty { margin: .5rem 0 0; color: var(--dim); }
code { font-family: var(--mono); font-size: .875em; }
section {
  background: var(--paper); border: 1px solid var(--line); border-radius: 12px;
  padding: 1.25rem; margin: 0 0 1.25rem; scroll-margin-top: 1rem;
}
.badge {
  display: inline-block; padding: .1em .6em; border-radius: 1em; font-size: .8125rem; font-weight: 600;
  line-height: 1.5; background: var(--note-soft); color: var(--note);
}
.badge.ok { background: var(--ok-soft); color: var(--ok); }
.badge.warn { background: var(--warn-soft); color: var(--warn); }
.badge.bad { background: var(--bad-soft); color: var(--bad); }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .75rem;
  list-style: none; margin: 0 0 1.25rem; padding: 0; }
.card { display: block; height: 100%; padding: .75rem 1rem; border-radius: 12px; text-decoration: none;
  background: var(--paper); border: 1px solid var(--line); border-top: 4px solid var(--ok-bar); color: inherit; }
.card.warn { border-top-color: var(--warn-bar); }
.card.bad { border-top-color: var(--bad-bar); }
.card:hover { background: var(--soft); }
.card .dim { display: block; font-size: .875rem; }
.figure { display: block; font-size: 1.25rem; font-weight: 600; }
.left { white-space: nowrap; }
.bar { display: inline-block; width: 6rem; height: .6rem; border-radius: .3rem; background: var(--line);
  overflow: hidden; vertical-align: .05em; margin-right: .35rem; }
.bar i { display: block; height: 100%; min-width: 2px; background: var(--ok-bar); }
.bar.warn i { background: var(--warn-bar); }
.bar.bad i { background: var(--bad-bar); }
.card .bar { display: block; width: 100%; margin: .5rem 0 .15rem; }
.card .left { font-size: 1.125rem; }
table { width: 100%; border-collapse: collapse; font-size: .9375rem; }
th, td { text-align: left; vertical-align: top; padding: .5rem .75rem .5rem 0; border-top: 1px solid var(--line); }
thead th { border-top: 0; color: var(--dim); font-size: .8125rem; font-weight: 600; padding-top: 0; }
th, .badge, td strong { overflow-wrap: break-word; }
td time { white-space: nowrap; }
.group th { padding: 1rem 0 .4rem; border-top: 1px solid var(--line); font-size: 1rem; }
.group .badge { margin-left: .35rem; }
.group .dim { font-weight: 400; font-size: .875rem; }
.group + tr td { border-top: 0; }
thead + tbody .group th { border-top: 0; padding-top: .25rem; }
.names { list-style: none; margin: 0; padding: 0; }
:target { background: var(--warn-soft); }
section:target { background: var(--paper); }
ol.plan, ol.steps, ol.timeline, ul.unseen { list-style: none; margin: 0; padding: 0; }
ul.unseen li { margin: 0 0 .5rem; }
.plan > li { border-top: 1px solid var(--line); }
.plan > li:first-child { border-top: 0; }
summary { cursor: pointer; padding: .5rem 0; }
.plan > li > details > summary { display: flex; gap: .6rem; align-items: baseline; list-style: none; }
.plan > li > details > summary::-webkit-details-marker { display: none; }
.plan > li > details > summary::after { content: "show"; flex: none; margin-left: auto; padding-left: .5rem; font-size: .8125rem; color: var(--link); }
.plan > li > details[open] > summary::after { content: "hide"; }
.symbol { flex: none; width: 1.5em; height: 1.5em; line-height: 1.5em; text-align: center; border-radius: 6px;
  font-family: var(--mono); font-weight: 700; background: var(--note-soft); color: var(--note); }
.plus { background: var(--ok-soft); color: var(--ok); }
.tilde { background: var(--warn-soft); color: var(--warn); }
.minus { background: var(--bad-soft); color: var(--bad); }
.body { padding: 0 0 1rem 2.1rem; }
.body h3 { margin-top: .75rem; }
.body summary { color: var(--link); font-size: .875rem; padding: .5rem 0 .25rem; width: fit-content; }
.place { margin: .5rem 0 0; color: var(--dim); font-size: .875rem; }
dl { margin: 0; display: grid; grid-template-columns: minmax(6rem, auto) 1fr; gap: .25rem 1rem; }
dt { color: var(--dim); }
dd { margin: 0; font-family: var(--mono); font-size: .8125rem; line-height: 1.6; min-width: 0; }
ins, del { text-decoration: none; padding: .1em .3em; border-radius: 4px; box-decoration-break: clone;
  -webkit-box-decoration-break: clone; }
ins { background: var(--ok-soft); color: var(--ok); }
del { background: var(--bad-soft); color: var(--bad); }
dd > del::before { content: "− "; }
dd > ins::before { content: "+ "; }
dd > del, dd > ins { display: table; }
.diff { border: 1px solid var(--line); border-radius: 6px; overflow: hidden; padding: .25rem 0; }
.diff > * { display: block; white-space: pre-wrap; padding: 0 .6rem; border-radius: 0; }
.command { display: block; background: var(--soft); border-radius: 6px; padding: .4rem .6rem; }
.command > span { display: block; white-space: pre-wrap; padding-left: 1.2em; text-indent: -1.2em; }
.command > span:first-child::before { content: "$ "; color: var(--dim); }
.steps li { margin: 0 0 .5rem; font-size: .875rem; }
.timeline li { display: grid; grid-template-columns: 3.5rem 1fr; gap: 0 1.75rem; position: relative; padding-bottom: 1rem; }
.timeline li::before { content: ""; position: absolute; left: 4.375rem; top: .5rem; bottom: -.5rem; width: 2px;
  background: var(--line); }
.timeline li:last-child::before { display: none; }
.timeline li::after { content: ""; position: absolute; left: 4rem; top: .4rem; width: .8rem; height: .8rem;
  border-radius: 50%; background: var(--dim); border: 2px solid var(--paper); }
.timeline li.ok::after { background: var(--ok-bar); }
.timeline li.warn::after { background: var(--warn-bar); }
.timeline li.bad::after { background: var(--bad-bar); }
.timeline time { color: var(--dim); font-variant-numeric: tabular-nums; }
.timeline p { margin: 0; color: var(--dim); font-size: .9375rem; }
@media (max-width: 46rem) {
  header, main, footer { padding-left: .75rem; padding-right: .75rem; }
  header { padding-top: 1.25rem; }
  section { padding: 1rem; }
  .cards { grid-template-columns: 1fr 1fr; gap: .5rem; }
  .cards li:last-child:nth-child(odd) { grid-column: 1 / -1; }
  .figure, .card .left { font-size: 1rem; }
  thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  table, tbody, tr, td, th { display: block; }
  td { border: 0; padding: .1rem 0; display: grid; grid-template-columns: 5.5rem 1fr; gap: .5rem; }
  td::before { content: attr(data-name); color: var(--dim); font-size: .8125rem; line-height: 1.85; }
  td:first-child { display: block; }
  td:first-child::before { display: none; }
  tr { border-top: 1px solid var(--line); padding: .5rem 0; }
  .group th { border: 0; padding: .25rem 0 0; }
  tbody:first-of-type tr:first-child, .group + tr { border-top: 0; }
  td .bar { width: 5rem; }
  .body { padding-left: 0; }
  dl { grid-template-columns: 1fr; }
}
@media print {
  :root { --ground: #fff; --paper: #fff; --ink: #000; --dim: #444; --line: #bbb; --soft: #f3f3f3; }
  body { font-size: 11pt; }
  .skip, .plan > li > details > summary::after { display: none; }
  section { border: 0; padding: 0; }
  tr, .card, .timeline li { break-inside: avoid; }
  h2, h3, summary { break-after: avoid; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  details::details-content { content-visibility: visible; block-size: auto; }
}
"""
