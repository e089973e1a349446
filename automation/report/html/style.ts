import { raw } from './html.ts';

/**
 * The report's only style sheet. Colour is never the only sign: the colours blue and green and the verdicts are also
 * named in text.
 */
export const style = raw(`
:root {
  color-scheme: light dark;
  --page: #fff; --panel: #f6f7f8; --line: #dfe2e6; --grid: #e9ebee; --ink: #15191e; --soft: #57606b;
  --blue: #1f5fd0; --green: #157a4a; --blue-tint: #e6eefc; --green-tint: #e2f3ea;
  --good: #157a4a; --warn: #8f5a00; --bad: #b3261e; --good-tint: #e5f4ec; --warn-tint: #fbf0dc; --bad-tint: #fce9e7;
  --link: #1f5fd0;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --page: #111418; --panel: #191d23; --line: #2f353d; --grid: #262b32; --ink: #e6e9ed; --soft: #9aa4b0;
    --blue: #7aa7f7; --green: #5cc492; --blue-tint: #1a2740; --green-tint: #16301f;
    --good: #5cc492; --warn: #e3b15f; --bad: #f28b82; --good-tint: #16301f; --warn-tint: #352a12; --bad-tint: #3d1d1b;
    --link: #8fb5fa;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-padding-top: 1rem; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 400 15px/1.55 system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial, sans-serif;
  font-variant-numeric: tabular-nums; overflow-wrap: break-word;
}
.page { max-width: 66rem; margin: 0 auto; padding: 2.5rem 1.5rem 5rem; }
a { color: var(--link); text-underline-offset: 2px; }
a:focus-visible, [tabindex]:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
.skip { position: absolute; left: -100vw; }
.skip:focus { position: static; }
h1, h2, h3 { line-height: 1.25; font-weight: 650; text-wrap: balance; }
h1 { font-size: 1.75rem; margin: 0.2rem 0 0.4rem; letter-spacing: -0.01em; }
h2 { font-size: 1.25rem; margin: 3.25rem 0 0.4rem; padding-top: 1.1rem; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.75rem 0 0.4rem; }
p { margin: 0.4rem 0 0.8rem; max-width: 46rem; }
code { font: 0.88em/1.4 ui-monospace, "SF Mono", Menlo, Consolas, monospace; overflow-wrap: anywhere; }
.soft { color: var(--soft); }
.small { font-size: 0.87rem; }
.kicker { color: var(--soft); margin: 0; }

.verdict { border: 1px solid; border-left-width: 6px; border-radius: 6px; padding: 1.1rem 1.3rem; margin: 1.4rem 0 1.2rem; }
.verdict strong { display: block; font-size: 1.5rem; line-height: 1.3; font-weight: 680; }
.verdict p { margin: 0.25rem 0 0; color: var(--ink); }
.tone-good { color: var(--good); } .tone-warn { color: var(--warn); } .tone-bad { color: var(--bad); } .tone-none { color: var(--soft); }
.verdict.tone-good { background: var(--good-tint); } .verdict.tone-warn { background: var(--warn-tint); }
.verdict.tone-bad { background: var(--bad-tint); } .verdict.tone-none { background: var(--panel); }

.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: 1px; margin: 0; padding: 0;
  background: var(--line); border: 1px solid var(--line); border-radius: 6px; overflow: hidden; }
.figures > div { background: var(--page); padding: 0.75rem 0.95rem; }
.figures dt { color: var(--soft); font-size: 0.85rem; }
.figures dd { margin: 0; }
.figures dd b { display: block; font-size: 1.3rem; font-weight: 620; line-height: 1.35; }
.figures dd span { color: var(--soft); font-size: 0.85rem; }

nav ul { display: flex; flex-wrap: wrap; gap: 0.2rem 1.1rem; list-style: none; margin: 1.5rem 0 0; padding: 0; }

.scroll { overflow-x: auto; margin: 0.6rem 0 1rem; }
table { border-collapse: collapse; width: 100%; font-size: 0.93rem; }
caption { text-align: left; color: var(--soft); font-size: 0.87rem; padding: 0 0 0.35rem; }
th, td { text-align: left; vertical-align: top; padding: 0.48rem 0.9rem 0.48rem 0; border-bottom: 1px solid var(--line); }
thead th { color: var(--soft); font-weight: 500; font-size: 0.85rem; white-space: nowrap; }
tbody th { font-weight: 550; }
th:last-child, td:last-child { padding-right: 0; }
.number { text-align: right; white-space: nowrap; }
.number + :not(.number) { padding-left: 1.4rem; }
.lines { white-space: pre-line; }
.state { white-space: nowrap; width: 8.2rem; font-weight: 550; }
.checklist th:nth-child(1) { width: 24%; } .checklist th:nth-child(3) { width: 29%; } .checklist th:nth-child(4) { width: 20%; }
.state::before { content: attr(data-sign); display: inline-block; width: 1.35em; }
tbody.group tr:first-child > * { border-top: 2px solid var(--line); padding-top: 0.8rem; }
tbody.group tr:not(:first-child) th { font-weight: 400; padding-left: 1rem; }

.colour { font-weight: 600; } .colour.blue { color: var(--blue); } .colour.green { color: var(--green); }
.frames { display: grid; grid-template-columns: repeat(auto-fill, minmax(15.5rem, 1fr)); gap: 1rem; list-style: none; margin: 1rem 0; padding: 0; }
.frames li { border: 1px solid var(--line); border-radius: 6px; padding: 0.75rem 0.9rem; break-inside: avoid; display: flex; flex-direction: column; }
.frames h3 { margin: 0; font-size: 0.95rem; } .frames p { margin: 0; font-size: 0.83rem; }
.frames svg { display: block; width: 100%; height: auto; margin-top: auto; padding-top: 0.5rem; }

svg .writes { fill: none; stroke: var(--ink); stroke-width: 1.5; stroke-dasharray: 4 3; }

.gantt td.bar { width: 46%; min-width: 9rem; }
.gantt .track { position: relative; display: block; height: 1.05rem; background: var(--panel); border-radius: 2px; margin-top: 0.18rem; }
.gantt .track i { position: absolute; top: 0; bottom: 0; border-radius: 2px; background: currentColor; min-width: 2px; opacity: 0.8; print-color-adjust: exact; }

figure { margin: 1rem 0 1.6rem; break-inside: avoid; }
figcaption { font-weight: 600; font-size: 0.95rem; } figcaption span { display: block; font-weight: 400; color: var(--soft); font-size: 0.87rem; }
figure svg { display: block; width: 100%; height: auto; }
svg text { font-family: inherit; }
.narrow { display: none; }
.steps { margin: 0.5rem 0; padding-left: 1.3rem; }
footer { margin-top: 4rem; padding-top: 1rem; border-top: 1px solid var(--line); }

@media (max-width: 640px) {
  .page { padding: 1.3rem 1rem 3rem; }
  h1 { font-size: 1.4rem; }
  .wide { display: none; } .narrow { display: block; }
  .figures { grid-template-columns: 1fr 1fr; }
  .stack thead { position: absolute; left: -100vw; }
  .stack, .stack tbody, .stack tr, .stack caption { display: block; }
  .stack th, .stack td { display: block; border: 0; padding: 0.1rem 0; width: auto; text-align: left; white-space: normal; }
  .stack .number + :not(.number) { padding-left: 0; } .stack .lines { white-space: pre-line; } .checklist th:nth-child(n) { width: auto; }
  .stack tr { border-bottom: 1px solid var(--line); padding: 0.6rem 0; }
  .stack td[data-label]:not(:empty)::before { content: attr(data-label) ": "; color: var(--soft); }
  tbody.group tr:first-child > *, tbody.group tr:not(:first-child) th { border: 0; padding: 0.1rem 0; }
  .gantt .stack td[data-label] { display: inline-block; margin-right: 1.2rem; }
  .gantt td.bar { width: auto; }
}
@media print {
  :root { color-scheme: light; --ink: #000; --soft: #444; --good-tint: #fff; --warn-tint: #fff; --bad-tint: #fff; --link: #000; }
  body { font-size: 10pt; } .page { max-width: none; padding: 0; }
  nav, .skip { display: none; }
  h2 { break-after: avoid; margin-top: 1.6rem; } h3, caption { break-after: avoid; } tr, .verdict, .figures { break-inside: avoid; }
  .scroll { overflow: visible; } thead { display: table-header-group; }
}
`);
