import type { RequestListener } from 'node:http';

/** What a stand-in of a ZAP daemon knows. */
export interface ZapState {
  apiKey: string;
  active: string[];
  passive: string[] | undefined;
  /** Whether its scans ever come to an end. */
  ends: boolean;
  alerts: Record<string, string>[];
  /** Pages that it really asks for, as a spider would. */
  visits: (url: string) => Promise<void>;
  /** Calls that it got. */
  calls: string[];
}

/** Answers as ZAP's API does, for the part that Greenlight uses. The same contract suite runs on a real daemon. */
export function zapDouble(state: ZapState): RequestListener {
  const rules = (names: string[]) => ({ scanners: names.map((name) => ({ name, enabled: 'true' })) });
  const status = () => ({ status: state.ends ? '100' : '40' });
  return (request, response) => {
    const send = (code: number, body: object) =>
      response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    const url = new URL(request.url ?? '/', 'http://zap');
    const call = url.pathname.replace(/^\/JSON\/|\/$/g, '');
    state.calls.push(call);
    if (request.headers['x-zap-api-key'] !== state.apiKey)
      return void send(401, { code: 'bad_api_key', message: 'API key incorrect' });
    switch (call) {
      case 'core/view/version':
        return void send(200, { version: '2.17.0' });
      case 'ascan/view/scanners':
        return void send(200, rules(state.active));
      case 'pscan/view/scanners':
        return void (state.passive
          ? send(200, rules(state.passive))
          : send(400, { code: 'no_implementor', message: 'No Implementor' }));
      case 'pscan/view/recordsToScan':
        return void send(200, { recordsToScan: '0' });
      case 'core/action/accessUrl':
        return void state.visits(url.searchParams.get('url') ?? '').then(() => send(200, { Result: 'OK' }));
      case 'spider/action/scan':
      case 'ascan/action/scan':
        return void send(200, { scan: '0' });
      case 'spider/view/status':
      case 'ascan/view/status':
        return void send(200, status());
      case 'ascan/view/scanProgress':
        return void send(200, {
          scanProgress: [
            url.host,
            { HostProcess: state.active.map((name) => ({ Plugin: [name, '1', 'release', 'Complete'] })) },
          ],
        });
      case 'core/view/alerts':
        return void send(200, { alerts: state.alerts });
      case 'spider/action/stop':
      case 'ascan/action/stop':
      case 'core/action/shutdown':
        return void send(200, { Result: 'OK' });
      default:
        return void send(400, { code: 'no_implementor', message: 'No Implementor' });
    }
  };
}
