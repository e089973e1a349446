import type { IncomingMessage } from 'node:http';

export interface Source {
  from: string;
  checksums?: string;
  files: Record<string, { name: string; program: string; sha256?: string; bytes?: number }>;
}

export interface Archive {
  name: string;
  program: string;
  sha256?: string;
  bytes?: number;
  url: URL;
  checksums: URL | undefined;
}

export interface OpenedArchive {
  archive: Archive;
  response: IncomingMessage;
  sha256: string;
}

export function archiveOf(source: Source, platform?: string): Archive | undefined;
export function openArchive(archive: Archive, limits?: { answerMs?: number }): Promise<OpenedArchive>;
export function storeArchive(opened: OpenedArchive, target: string, limits?: { silenceMs?: number }): Promise<void>;
