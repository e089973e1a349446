import js from '@eslint/js';
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';
import { imports } from './lint/rule.js';

/** A program gets a list of variables, not the shell. */
const listedVariables = {
  selector:
    'CallExpression[callee.name=/^(execa|execaNode|spawn|spawnSync|fork|exec|execFile|execFileSync)$/]:not(:has(CallExpression[callee.name=/^(child|bare|callers|docker)Environment$/]))',
  message: 'a program gets a list of variables, not the shell: see infra/lib/child-environment.ts',
};

/** What is renamed must be on the disk before. */
const renames = {
  selector:
    ':matches(CallExpression[callee.name=/^rename(Sync)?$/], CallExpression[callee.property.name=/^rename(Sync)?$/])',
  message: 'a rename alone does not survive a power cut: see infra/lib/atomic-file.ts',
};

/** A decision that depends on the platform is a member of it: a third platform would have to be found in every comparison. */
const platformDecides = {
  selector:
    ':matches(BinaryExpression[operator=/^[!=]==?$/] > Literal[value=/^(local|aws)$/], SwitchCase > Literal.test[value=/^(local|aws)$/])',
  message: 'ask the platform (infra/platform/platform.ts), or a table per platform (automation/config/platforms.ts)',
};

/** What a user types depends on how he has Greenlight. */
const commandsByName = {
  selector: ':matches(Literal[value=/npm run |npx /], TemplateElement[value.raw=/npm run |npx /])',
  message: "write ${greenlight('resume')}: see infra/lib/command.ts",
};

export default defineConfig(
  { ignores: ['node_modules/', '.greenlight/', 'coverage/', 'dist/', '**/public/'] },
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      'no-console': 'error',
    },
  },
  {
    files: ['infra/**/*.ts'],
    rules: { 'no-restricted-syntax': ['error', listedVariables, renames, commandsByName] },
  },
  {
    files: ['infra/lib/atomic-file.ts'],
    rules: { 'no-restricted-syntax': ['error', listedVariables, commandsByName] },
  },
  {
    files: ['infra/lib/command.ts'],
    rules: { 'no-restricted-syntax': ['error', listedVariables, renames] },
  },
  {
    files: ['automation/**/*.ts'],
    rules: { 'no-restricted-syntax': ['error', listedVariables, renames, platformDecides, commandsByName] },
  },
  {
    // It is about what npm does to the options of its own scripts.
    files: ['automation/ui/taken-by-npm.ts'],
    rules: { 'no-restricted-syntax': ['error', listedVariables, renames, platformDecides] },
  },
  {
    files: ['**/*.{ts,mjs,js}'],
    plugins: { layout: { rules: { imports } } },
    rules: { 'layout/imports': 'error' },
  },
  {
    // chai's property assertions are expressions; tests may reach for anything they must look at.
    files: ['test/**/*.ts', 'examples/**/*.ts', 'loadtests/**/*.ts'],
    rules: {
      '@typescript-eslint/no-unused-expressions': 'off',
      // node:test runs what it is given; its promises are for nested tests.
      '@typescript-eslint/no-floating-promises': [
        'error',
        { allowForKnownSafeCalls: [{ from: 'package', package: 'node:test', name: ['describe', 'it'] }] },
      ],
      'no-console': 'off',
    },
  },
  {
    files: ['**/*.{js,mjs}'],
    languageOptions: {
      globals: {
        process: 'readonly',
        console: 'readonly',
        URL: 'readonly',
        fetch: 'readonly',
        Buffer: 'readonly',
        setTimeout: 'readonly',
        clearTimeout: 'readonly',
        setInterval: 'readonly',
        clearInterval: 'readonly',
        AbortController: 'readonly',
      },
    },
  },
);
