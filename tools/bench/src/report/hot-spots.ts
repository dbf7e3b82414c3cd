// Where the processor time of a service went: its CPU profile, added up by function and by package.

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import Table from 'cli-table3';

/** What V8 writes, as far as it is read here. */
export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
    readonly children?: readonly number[];
  }[];
  readonly samples: readonly number[];
  /** Microseconds before each sample. */
  readonly timeDeltas: readonly number[];
}

export interface HotSpots {
  /** The program: `apps/gateway/src/main.ts`, with a number when there are several. */
  readonly name: string;
  /** Without idle time. */
  readonly busyMs: number;
  /** Hottest first. */
  readonly functions: readonly Spot[];
  readonly packages: readonly Spot[];
}

export interface Spot {
  readonly name: string;
  readonly selfMs: number;
  /** Of the busy time. */
  readonly share: number;
}

const FUNCTIONS_SHOWN = 45;
const PACKAGES_SHOWN = 25;

/** Reads all profiles of a folder. */
export async function readHotSpots(directory: string): Promise<HotSpots[]> {
  const files = (await readdir(directory)).filter((file) => file.endsWith('.cpuprofile')).sort();
  return await Promise.all(files.map(async (file) => findHotSpots(JSON.parse(await readFile(join(directory, file), 'utf8')) as CpuProfile, file)));
}

export function findHotSpots({ nodes, samples, timeDeltas }: CpuProfile, file: string): HotSpots {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const functions = new Map<string, number>();
  const packages = new Map<string, number>();
  let busyMs = 0;
  samples.forEach((id, index) => {
    const node = byId.get(id);
    if (node === undefined || node.callFrame.functionName === '(idle)' || node.callFrame.functionName === '(program)') return;
    const selfMs = (timeDeltas[index] ?? 0) / 1000;
    busyMs += selfMs;
    const { functionName, url, lineNumber } = node.callFrame;
    const place = placeOf(url);
    add(functions, `${functionName || '(anonymous)'} ${place}${url === '' ? '' : `:${lineNumber + 1}`}`, selfMs);
    add(packages, url === '' ? functionName : packageOf(place), selfMs);
  });
  const program = nodes.map(({ callFrame }) => placeOf(callFrame.url)).find((place) => /^apps\/\w+\/src\/main\.ts$/.test(place));
  return { name: `${program ?? 'unknown'} (${file})`, busyMs, functions: ranked(functions, busyMs), packages: ranked(packages, busyMs) };
}

export function renderHotSpots(all: readonly HotSpots[]): string {
  return all.map(({ name, busyMs, functions, packages }) =>
    `${name}: busy ${busyMs.toFixed(0)} ms\n${tableOf(packages.slice(0, PACKAGES_SHOWN))}\n${tableOf(functions.slice(0, FUNCTIONS_SHOWN))}\n`).join('\n');
}

function tableOf(spots: readonly Spot[]): string {
  const table = new Table({ head: ['self ms', 'share', ''], style: { head: [], border: [] }, chars: { mid: '', 'left-mid': '', 'mid-mid': '', 'right-mid': '' } });
  for (const { name, selfMs, share } of spots) table.push([selfMs.toFixed(0), `${(share * 100).toFixed(1)} %`, name]);
  return table.toString();
}

function ranked(times: ReadonlyMap<string, number>, busyMs: number): Spot[] {
  return [...times].map(([name, selfMs]) => ({ name, selfMs, share: selfMs / busyMs })).sort((one, other) => other.selfMs - one.selfMs);
}

/** From the repository's root or inside node_modules. */
function placeOf(url: string): string {
  const installed = url.lastIndexOf('/node_modules/');
  if (installed !== -1) return url.slice(installed + '/node_modules/'.length);
  return /\/((?:apps|libs|tools)\/.*)$/.exec(url)?.[1] ?? url;
}

function packageOf(place: string): string {
  if (place.startsWith('node:')) return place;
  const parts = place.split('/');
  const isOwn = ['apps', 'libs', 'tools'].includes(parts[0] ?? '');
  return isOwn ? place : parts.slice(0, place.startsWith('@') ? 2 : 1).join('/');
}

function add(times: Map<string, number>, name: string, selfMs: number): void {
  times.set(name, (times.get(name) ?? 0) + selfMs);
}
