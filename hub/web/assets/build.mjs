// Bundles the sources of this folder into ../static/built: scripts and styles with hashed names, one sprite of the
// icons in use, and manifest.json, which maps the plain names to the hashed ones.
import { createHash } from "node:crypto";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const out = join(here, "..", "static", "built");

await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });

const { metafile } = await build({
  absWorkingDir: here,
  entryPoints: ["js/app.js", "js/charts.js", "css/app.css", "css/mail.css"],
  outdir: out,
  outbase: here,
  entryNames: "[name]-[hash]",
  bundle: true,
  minify: true,
  metafile: true,
  format: "esm",
  target: ["chrome123", "firefox121", "safari17.5"],
  legalComments: "linked",
  logLevel: "warning",
});

const manifest = {};
for (const [file, { entryPoint }] of Object.entries(metafile.outputs)) {
  if (entryPoint) manifest[basename(entryPoint)] = basename(file);
}

const icons = JSON.parse(await readFile(join(here, "icons.json"), "utf8"));
const symbols = await Promise.all(icons.map(async (name) => {
  const svg = await readFile(join(here, "node_modules/lucide-static/icons", `${name}.svg`), "utf8");
  const shapes = svg.slice(svg.indexOf(">", svg.indexOf("<svg")) + 1, svg.lastIndexOf("</svg>")).replace(/\s+/g, " ");
  return `<symbol id="${name}" viewBox="0 0 24 24">${shapes.trim()}</symbol>`;
}));
const sprite = `<svg xmlns="http://www.w3.org/2000/svg"><!-- Lucide, ISC License -->${symbols.join("")}</svg>`;
manifest["icons.svg"] = `icons-${createHash("sha256").update(sprite).digest("hex").slice(0, 8)}.svg`;
await writeFile(join(out, manifest["icons.svg"]), sprite);

await writeFile(join(out, "manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`);
