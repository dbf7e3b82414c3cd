// Lists by cursor pages, as one async iterator.

import type { CallContext, PageOptions } from './call-context.ts';
import { InvalidArgumentError } from './errors.ts';
import type { GatewayClients } from './gateway-link.ts';
import { query, type AskOptions } from './query.ts';

const PAGE_ITEMS = 50;
const PAGE_ITEMS_MAX = 1000;

interface Page<T> {
  items: T[];
  /** Empty on the last page. */
  nextPageToken: string;
}

type FetchPage<T> = (
  gateway: GatewayClients,
  page: { pageSize: number; pageToken: string },
  options: AskOptions,
) => Promise<Page<T>>;

/** Yields items in the server's order, fetching a page when the one before is used up. */
export async function* pages<T>(
  context: CallContext,
  options: PageOptions | undefined,
  fetchPage: FetchPage<T>,
): AsyncIterableIterator<T> {
  const limit = options?.limit ?? Infinity;
  const pageSize = options?.pageSize ?? PAGE_ITEMS;
  checkCount('limit', limit, Infinity);
  checkCount('pageSize', pageSize, PAGE_ITEMS_MAX);
  let left = limit;
  let pageToken = '';
  do {
    const request = { pageSize: Math.min(pageSize, left), pageToken };
    const page = await query(
      context.gateways,
      context.budget(options),
      (gateway, askOptions) => fetchPage(gateway, request, askOptions),
      context.login(),
    );
    for (const item of page.items) {
      if (left <= 0) return;
      left -= 1;
      yield item;
    }
    pageToken = page.nextPageToken;
  } while (pageToken !== '' && left > 0);
}

function checkCount(field: string, value: number, max: number): void {
  if (value >= 1 && value <= max && (Number.isInteger(value) || value === Infinity)) return;
  const range = max === Infinity ? 'above zero' : `from 1 to ${max}`;
  throw new InvalidArgumentError(`${field} must be a whole number ${range}`, { code: 'INVALID_PAGE', field });
}
