// `strife config explain`

import type { Context } from '../context.ts';
import { SETTINGS, type SettingName, type Settings } from '../settings.ts';

/** Each setting with its value, where it came from, and how else it could be given. */
export function explainConfig({ output, settings }: Context): void {
  const rows = Object.entries(SETTINGS).map(([name, { option, variable }]) => {
    const origin = settings.origins[name as SettingName];
    return { name, value: valueOf(name as SettingName, settings), origin, option, variable };
  });
  const { profileFile, sessionFile, source } = settings;
  output.result({ config: { profileFile: profileFile ?? null, sessionFile, gatewaysFrom: source, settings: rows } }, () => {
    const widths = { name: longest(rows.map(({ name }) => name)), value: longest(rows.map(({ value }) => shown(value))) };
    const lines = rows.map(({ name, value, origin }) => `${name.padEnd(widths.name)}  ${shown(value).padEnd(widths.value)}  from ${origin}`);
    return [`profile: ${profileFile ?? 'none found'}`, `session: ${sessionFile}`, `gateways are found by: ${source}`, ...lines].join('\n');
  });
  output.message('A flag wins over a STRIFE_* variable, that over the profile, that over the default.');
}

function valueOf(name: SettingName, settings: Settings): string | readonly string[] | number | null {
  const values: Record<SettingName, string | readonly string[] | number | undefined> = {
    gateways: settings.gateways,
    registry_dir: settings.registryDir,
    consul_addr: settings.consulAddress,
    consul_ca: settings.consulCa,
    certs_dir: settings.certsDir,
    certificate: settings.certificate,
    data_dir: settings.dataDir,
    queue: settings.queueFile,
    timeout: settings.timeoutMs / 1000,
  };
  return values[name] ?? null;
}

function shown(value: string | readonly string[] | number | null): string {
  if (value === null) return 'not set';
  return Array.isArray(value) ? value.join(', ') : String(value);
}

function longest(texts: readonly string[]): number {
  return Math.max(...texts.map(({ length }) => length));
}
