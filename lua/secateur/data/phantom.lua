--- Procedural chest X-rays: lungs, ribs, and what should not be there. Seeded, instant, any size; nothing to download.
-- @module secateur.data.phantom
local core = require "secateur.core"
local dataset = require "secateur.data.dataset"
local errors = require "secateur.util.errors"
local options = require "secateur.util.options"
local selection = require "secateur.data.selection"

local KINDS = { "normal", "nodule", "effusion", "opacity" }

-- What the core calls a set of findings: the sum of these.
local bits = { normal = 0, nodule = 1, effusion = 2, opacity = 4 }

-- A check of `classes`: some of these names, at least so many.
local function some_of(names, least)
  local known, text = {}, table.concat(names, ", ")
  for _, name in ipairs(names) do known[name] = true end
  return function(classes)
    local seen = {}
    for i = 1, #classes do
      local class = classes[i]
      if not known[class] or seen[class] then return false, ("some of %s, each once"):format(text) end
      seen[class] = true
    end
    return #classes >= least, ("at least %d of %s"):format(least, text)
  end
end

local are_kinds, are_findings = some_of(KINDS, 2), some_of({ table.unpack(KINDS, 2) }, 2)

local function is_share(value) return math.type(value) and value > 0 and value < 1 end

local function are_shares(value)
  local good = type(value) ~= "table" and is_share(value) or type(value) == "table" and #value > 0
  for _, share in ipairs(good and type(value) == "table" and value or {}) do good = good and is_share(share) end
  return good, "a number in (0, 1), or a list of one per finding"
end

local rules = dataset.rules {
  count = { type = "integer", min = 1, max = 1 << 24, default = 400 },
  size = { type = "integer", min = 16, max = 8192, default = 64 },
  classes = { type = "table" },
  multi_label = { type = "boolean", default = false },
  prevalence = { type = { "number", "table" }, check = are_shares },
}

-- A phantom can always be drawn, at its size and in all of its range, and is like no other.
for _, key in ipairs { "max_pixels", "max_bytes", "on_error", "only", "skip", "group", "on_duplicate", "encoding",
  "resize", "crop", "interpolation", "range", "window" } do
  rules[key] = nil
end

-- The options that depend on each other.
local function check(opts)
  if opts.classes and #opts.classes == 0 and next(opts.classes) then
    options.value("phantom", "classes", opts.classes, { check = selection.is_classes })
    opts.renamed = selection.wanted(opts.classes, opts.like)
    opts.classes = {}
    for _, entry in ipairs(opts.renamed) do table.move(entry.from, 1, #entry.from, #opts.classes + 1, opts.classes) end
  end
  local rule = opts.multi_label and { check = are_findings, default = { table.unpack(KINDS, 2) } }
    or { check = are_kinds, default = KINDS }
  opts.classes = options.value("phantom", "classes", opts.classes, rule)
  if opts.prevalence and not opts.multi_label then
    errors.refuse("phantom", "prevalence: expected multi_label to be true")
  elseif type(opts.prevalence) == "table" and #opts.prevalence ~= #opts.classes then
    errors.refuse("phantom", "prevalence: expected %d numbers, one per finding, got %d", #opts.classes,
      #opts.prevalence)
  end
end

-- Which findings each image has: a number that is drawn for every kind decides, so that it does not matter which of the
-- others are asked for.
local function draw_findings(opts)
  local chance, labels, given = core.rand(opts.count, 3, { seed = core.mix(opts.seed, #KINDS) }):totable(), {},
    opts.prevalence or 0.5
  for i = 1, opts.count do
    labels[i] = {}
    for k, class in ipairs(opts.classes) do
      local column = bits[class] // 2 + 1
      labels[i][k] = chance[i][column] < (type(given) == "table" and given[k] or given) and 1 or 0
    end
  end
  return labels
end

local function build(opts)
  local classes, sets, samples = table.move(opts.classes, 1, #opts.classes, 1, {}), {}, {}
  local drawn = opts.multi_label and draw_findings(opts)
  for i = 1, opts.count do
    local label = drawn and drawn[i] or (i - 1) % #classes + 1
    sets[i] = drawn and 0 or bits[classes[label]]
    for k, value in ipairs(drawn and label or {}) do sets[i] = sets[i] + value * bits[classes[k]] end
    samples[i] = { name = "phantom " .. i, label = label, row = i }
  end
  local source = core.image_source { kind = "phantom", findings = sets, seed = opts.seed, size = opts.size,
    cache_bytes = opts.cache_bytes }
  local listing = { classes = classes, samples = samples, places = {}, skipped = {}, notes = {},
    multi_label = opts.multi_label }
  selection.apply(listing, opts.renamed)
  classes = listing.classes
  if #classes < 2 then
    errors.raise("classes: expected at least 2 classes, got %d", #classes)
  end
  dataset.divide(samples, "all", opts)
  local made = dataset.new("phantom", ("seed %d"):format(opts.seed), classes, opts, dataset.parts(samples, source))
  made.short = "phantom" -- for tables: its title is no path whose end would say what it is
  return made
end

--- Makes a set of phantoms, all classes equally often; or with `multi_label` of images with any of several findings.
-- `sc.data.phantom`.
-- @tab[opt] opts `count` (400), `size` (64), `classes` (normal, nodule, effusion, opacity; or some of these; or a table
-- of new name = old name or { old names }),
-- `multi_label` (false; true: `classes` are findings, nodule, effusion and opacity or two of these, of which an image
-- has none, one or several, each drawn by itself), `prevalence` (0.5; of each finding, or a list of one per finding),
-- and those of `sc.data.folder`; `seed` decides images, findings and splits
-- @treturn Dataset
-- @usage
-- local data = sc.data.phantom { count = 400, size = 64 }
-- local several = sc.data.phantom { multi_label = true, prevalence = { 0.2, 0.1, 0.3 } }
return function(opts)
  opts = dataset.options("phantom", opts, rules)
  check(opts)
  local result = errors.within("phantom", build, opts)
  return result
end
