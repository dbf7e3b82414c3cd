// Bars as SVG text, for a page that stands alone. Pure.

export interface Bar {
  readonly label: string;
  /** From left to right; one for a plain bar, several stacked. */
  readonly parts: readonly { readonly name: string; readonly value: number }[];
  /** The whisker; only for plain bars. */
  readonly range?: { readonly min: number; readonly max: number } | undefined;
  /** Behind the bar. */
  readonly text: string;
}

const LABEL_WIDTH = 250;
const BARS_WIDTH = 480;
const TEXT_WIDTH = 190;
const ROW_HEIGHT = 22;
const BAR_HEIGHT = 14;
const COLOURS = ['#3b6fb6', '#d17a22', '#5b9a52', '#a34f8b', '#8a8a2f', '#7a6acb', '#b0483f'];

/** Horizontal bars. On a logarithmic scale from `from` where the values are orders of magnitude apart. */
export function renderBars(bars: readonly Bar[], scale: { readonly kind: 'linear' } | { readonly kind: 'logarithmic'; readonly from: number }): string {
  const totals = bars.map(({ parts, range }) => Math.max(range?.max ?? 0, parts.reduce((sum, { value }) => sum + value, 0)));
  const most = Math.max(1e-9, ...totals);
  const names = [...new Set(bars.flatMap(({ parts }) => parts.map(({ name }) => name)))];
  const x = (value: number): number => {
    if (scale.kind === 'linear') return (value / most) * BARS_WIDTH;
    return value <= scale.from ? 1 : (Math.log(value / scale.from) / Math.log(Math.max(most, scale.from * 2) / scale.from)) * BARS_WIDTH;
  };
  const rows = bars.map((bar, index) => renderRow(bar, index * ROW_HEIGHT, x, names));
  const width = LABEL_WIDTH + BARS_WIDTH + TEXT_WIDTH;
  const legend = names.length < 2 ? '' : `<p class="legend">${names.map((name, index) => `<span style="background:${colour(index)}"></span>${escapeHtml(name)}`).join(' ')}</p>`;
  return `${legend}<svg viewBox="0 0 ${width} ${bars.length * ROW_HEIGHT}" width="${width}" role="img">${rows.join('')}</svg>`;
}

function renderRow({ label, parts, range, text }: Bar, top: number, x: (value: number) => number, names: readonly string[]): string {
  const middle = top + ROW_HEIGHT / 2;
  let sum = 0;
  const rectangles = parts.map(({ name, value }) => {
    const left = sum === 0 ? 0 : x(sum);
    sum += value;
    const width = Math.max(1, x(sum) - left);
    return `<rect x="${fixed(LABEL_WIDTH + left)}" y="${fixed(middle - BAR_HEIGHT / 2)}" width="${fixed(width)}" height="${BAR_HEIGHT}" fill="${colour(names.indexOf(name))}"/>`;
  });
  const whisker = range === undefined ? '' :
    `<line x1="${fixed(LABEL_WIDTH + x(range.min))}" x2="${fixed(LABEL_WIDTH + x(range.max))}" y1="${fixed(middle)}" y2="${fixed(middle)}" class="whisker"/>`;
  const end = LABEL_WIDTH + Math.max(x(sum), range === undefined ? 0 : x(range.max));
  return `<text x="${LABEL_WIDTH - 8}" y="${fixed(middle + 4)}" text-anchor="end">${escapeHtml(label)}</text>${rectangles.join('')}${whisker}` +
    `<text x="${fixed(end + 6)}" y="${fixed(middle + 4)}" class="value">${escapeHtml(text)}</text>`;
}

function colour(index: number): string {
  return COLOURS[index % COLOURS.length]!;
}

function fixed(value: number): string {
  return value.toFixed(1);
}

export function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
