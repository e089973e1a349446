/**
 * The part of the official ZAP client that Greenlight uses. The package has no types of its own. All values are
 * strings.
 */
declare module 'zaproxy' {
  type Answer<Key extends string> = Promise<Record<Key, string>>;

  export default class ZapClient {
    constructor(options: { apiKey: string; proxy: { protocol: string; host: string; port: number } });
    core: {
      version(): Answer<'version'>;
      accessUrl(args: { url: string; followredirects: boolean }): Promise<unknown>;
      alerts(args: { baseurl: string }): Promise<{ alerts: Record<string, string>[] }>;
      shutdown(): Promise<unknown>;
    };
    spider: {
      scan(args: { url: string; recurse: boolean }): Answer<'scan'>;
      status(args: { scanid: string }): Answer<'status'>;
      stop(args: { scanid: string }): Promise<unknown>;
    };
    ascan: {
      scanners(args: object): Promise<{ scanners: { name: string; enabled: string }[] }>;
      scan(args: { url: string; recurse: boolean; inscopeonly: boolean }): Answer<'scan'>;
      status(args: { scanid: string }): Answer<'status'>;
      stop(args: { scanid: string }): Promise<unknown>;
      /** A host name followed by its plug-ins. Each plug-in is a list: name, id, quality, status, ... */
      scanProgress(args: {
        scanid: string;
      }): Promise<{ scanProgress: (string | { HostProcess: { Plugin: string[] }[] })[] }>;
    };
    pscan: {
      scanners(): Promise<{ scanners: { name: string; enabled: string }[] }>;
      recordsToScan(): Answer<'recordsToScan'>;
    };
  }
}
