-- The files of spec/fixtures/clinic and what their makers' libraries make of them (spec/fixtures/make_clinic.py).
local assert = require "luassert"
local core = require "secateur.core"
local damage = require "support.damage"
local errors = require "support.errors"
local safetensors = require "secateur.formats.safetensors"
local temporary = require "support.temporary"

local clinic = { folder = "spec/fixtures/clinic/" }
local expected

--- nil where this build reads a format ("DICOM", ...), else why it does not: for `pending`.
function clinic.missing(format)
  local state = core.codecs()[format]
  return state ~= true and state or nil
end

--- The largest difference between what the core reads and what was expected, in 1/65535; name says what was expected,
-- file (the same unless given) what is read.
function clinic.difference(name, file, options)
  expected = expected or safetensors.load(clinic.folder .. "pixels.safetensors")
  local wanted = expected[name] or error(name)
  local got = core.image_load(clinic.folder .. (file or name), options)
  assert.same(wanted:shape(), got:shape())
  local a, b, most = wanted:totable(), got:totable(), 0
  for c = 1, #a do
    for y = 1, #a[c] do
      for x = 1, #a[c][y] do most = math.max(most, math.abs(a[c][y][x] - b[c][y][x])) end
    end
  end
  return most * 65535
end

--- The reason, without function and path, why a file of the folder is refused.
function clinic.refusal(file, options)
  local path = clinic.folder .. file
  local message = errors.raised(core.image_load, path, options)
  local start = "image_load: '" .. path .. "': "
  assert.equal(start, message:sub(1, #start))
  return message:sub(#start + 1)
end

--- The bytes of a file of the folder.
function clinic.bytes(file)
  local handle <close> = io.open(clinic.folder .. file, "rb") or error(file)
  return handle:read("a")
end

--- Reads so many damaged copies of each file, of every kind of damage, written to a folder: each is a picture, or
-- refused with a message that names it.
function clinic.try_damaged(folder, names, copies)
  for number, name in ipairs(names) do
    local good = clinic.bytes(name)
    for which, kind in ipairs(damage.kinds) do
      local draw = damage.draws(core.mix(number, which))
      for _ = 1, copies do
        local path = temporary.write(folder, "damaged", damage.ways[kind](good, draw))
        core.image_info(path)
        local read, message = pcall(core.image_load, path, { max_pixels = 1000000 })
        if not read and not tostring(message):find(path, 1, true) then
          error(("%s, %s: %s"):format(name, kind, message))
        end
      end
    end
  end
end

return clinic
