--- Procedural chest X-rays: lungs, ribs, and what should not be there. Seeded, instant, any size; nothing to download.
-- @module secateur.data.phantom
local core = require "secateur.core"
local dataset = require "secateur.data.dataset"
local errors = require "secateur.util.errors"

local KINDS = { "normal", "nodule", "effusion", "opacity" }

local kind_of = {}
for kind, name in ipairs(KINDS) do kind_of[name] = kind end

local function are_kinds(classes)
  local seen = {}
  for i = 1, #classes do
    local class = classes[i]
    if not kind_of[class] or seen[class] then return false, "some of " .. table.concat(KINDS, ", ") .. ", each once" end
    seen[class] = true
  end
  return #classes >= 2, "at least 2 of " .. table.concat(KINDS, ", ")
end

local rules = dataset.rules {
  count = { type = "integer", min = 1, max = 1 << 24, default = 400 },
  size = { type = "integer", min = 16, max = 8192, default = 64 },
  classes = { type = "table", check = are_kinds, default = KINDS },
}

-- A phantom can always be drawn.
rules.max_pixels, rules.on_error = nil, nil

local function build(opts)
  local classes, kinds, samples = table.move(opts.classes, 1, #opts.classes, 1, {}), {}, {}
  for i = 1, opts.count do
    local label = (i - 1) % #classes + 1
    kinds[i] = kind_of[classes[label]]
    samples[i] = { name = "phantom " .. i, label = label, row = i }
  end
  local source = core.image_source { kind = "phantom", labels = kinds, seed = opts.seed, size = opts.size,
    cache_bytes = opts.cache_bytes }
  dataset.divide(samples, "all", opts)
  local made = dataset.new("phantom", ("seed %d"):format(opts.seed), classes, opts, dataset.parts(samples, source))
  made.short = "phantom" -- for tables: its title is no path whose end would say what it is
  return made
end

--- Makes a set of phantoms, all classes equally often. `sc.data.phantom`.
-- @tab[opt] opts `count` (400), `size` (64), `classes` (normal, nodule, effusion, opacity; or some of these), and those
-- of `sc.data.folder`; `seed` decides both images and splits
-- @treturn Dataset
-- @usage
-- local data = sc.data.phantom { count = 400, size = 64 }
return function(opts)
  opts = dataset.options("phantom", opts, rules)
  local result = errors.within("phantom", build, opts)
  return result
end
