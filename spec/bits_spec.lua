-- Results are equal to the bit whatever the processor's level, the C library's choice of functions, the number of
-- threads and the batch: everything is held against spec/fixtures/bits.json, so that a green run on any machine means
-- the same. What changes a definition of results on purpose is followed by `make bits`.
local bits_child = require "support.bits_child"
local files = require "secateur.util.files"
local json = require "secateur.util.json"
local needs = require "support.needs"

local SHOWN = 12

local expected = json.decode(assert(files.read_all "spec/fixtures/bits.json"))

local all = { { threads = 1, batch = 16 }, { threads = 2, batch = 16 }, { threads = 3, batch = 16 },
  { threads = 8, batch = 16 }, { threads = 1, batch = 5 }, { threads = 3, batch = 2 }, { threads = 2, batch = 1 } }
-- The portable level takes ten times as long: each number of threads and each batch once.
local few = { { threads = 1, batch = 16 }, { threads = 3, batch = 5 }, { threads = 8, batch = 2 },
  { threads = 2, batch = 1 } }
local two = { { threads = 1, batch = 16 }, { threads = 2, batch = 5 } }

-- What differs from the file, one line each.
local function differences(where, environment, configs)
  local lines, seen = {}, {}
  for _, one in ipairs(bits_child.run(environment, configs)) do
    local wanted = (expected[one.net] or {})[one.quantity]
    seen[one.net .. ": " .. one.quantity] = true
    if one.checksum ~= wanted then
      lines[#lines + 1] = ("%s, %s threads, batches of %s: %s: %s: expected %s, got %s"):format(where, one.threads,
        one.batch, one.net, one.quantity, wanted or "no such quantity", one.checksum)
    end
  end
  for net, quantities in pairs(expected) do
    for quantity in pairs(quantities) do
      local name = net .. ": " .. quantity
      if not seen[name] then lines[#lines + 1] = ("%s: %s: was not computed"):format(where, name) end
    end
  end
  return lines
end

local function agree(where, environment, configs)
  local lines = differences(where, environment, configs)
  if #lines == 0 then return end
  local shown = table.concat(lines, "\n", 1, math.min(#lines, SHOWN))
  error(("%d checksums differ:\n%s"):format(#lines, shown), 0)
end

describe("results are the same bits", function()
  for _, level in ipairs(needs.levels) do
    it("at the processor level " .. level .. ", with any number of threads and any batch", function()
      needs.level(pending, level)
      if level == "portable" then needs.native(pending, "ten times the work") end
      agree("level " .. level, "SECATEUR_CPU=" .. level, level == "portable" and few or needs.memcheck and two or all)
    end)
  end

  it("where the C library has to do without vector instructions", function()
    needs.native(pending, "another choice of the C library")
    agree("plain libm", "GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX512F,-AVX2,-FMA,-FMA4", two)
  end)
end)
