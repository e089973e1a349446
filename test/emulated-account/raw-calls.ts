import type { Account } from './account.ts';

export type Raw = (
  service: string,
  headers: Record<string, string>,
  input: object,
  to?: string,
) => Promise<Record<string, unknown>>;

/** Calls to services for which the project has no client. */
export function rawCalls({ endpoint, region }: Pick<Account, 'endpoint' | 'region'>): Raw {
  return async (service, headers, input, to = '/') => {
    const authorization = `AWS4-HMAC-SHA256 Credential=a/20260101/${region}/${service}/aws4_request, SignedHeaders=host, Signature=a`;
    const form = input instanceof URLSearchParams;
    const response = await fetch(`${endpoint}${to}`, {
      method: 'POST',
      headers: { authorization, ...(form ? {} : { 'content-type': 'application/x-amz-json-1.1' }), ...headers },
      body: form ? input : JSON.stringify(input),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${service}: ${response.status} ${text}`);
    return form ? { text } : (JSON.parse(text) as Record<string, unknown>);
  };
}
