--- Damages files, the same way on every machine.
local core = require "secateur.core"

local damage = {}

--- A sequence of whole numbers in 0 .. below - 1 that is the same on every machine.
function damage.draws(seed)
  local count = 0
  return function(below)
    count = count + 1
    return core.mix(seed, count) % below
  end
end

-- `bytes` with `count` bytes from position `at` (from 1) replaced.
local function replaced(bytes, at, count, by)
  return bytes:sub(1, at - 1) .. by .. bytes:sub(at + count)
end

-- Sizes that overflow something, as the formats store them.
local absurd = {
  "\255\255\255\255", "\255\255\255\127", "\0\0\0\128", "\0\0\0\0", "\255\255", "\0\0\0\0\0\0\0\128",
  "\255\255\255\255\255\255\255\255", "\255\255\255\255\255\255\255\127", "\0\0\0\0\1\0\0\0", "\127\255\255\255",
}

-- For headers that are text.
local absurd_text = { "99999999999999999999", "4294967296", "-1", "1e300", "0", "[", "{", '"', "(", "\0", "\255" }

--- Kind of damage → a function of the good bytes and a sequence of draws that gives damaged ones.
damage.ways = {
  truncated = function(bytes, draw) return bytes:sub(1, draw(#bytes)) end,
  flipped = function(bytes, draw)
    for _ = 0, draw(4) do
      local at = draw(#bytes) + 1
      bytes = replaced(bytes, at, 1, string.char(bytes:byte(at) ~ (1 << draw(8))))
    end
    return bytes
  end,
  -- headers stand at the front, and a zip archive's directory at the end
  flipped_front = function(bytes, draw)
    local at = draw(math.min(#bytes, 64)) + 1
    return replaced(bytes, at, 1, string.char(draw(256)))
  end,
  absurd = function(bytes, draw)
    local by = absurd[draw(#absurd) + 1]
    return replaced(bytes, draw(#bytes) + 1, #by, by):sub(1, #bytes)
  end,
  absurd_end = function(bytes, draw)
    local by = absurd[draw(#absurd) + 1]
    return replaced(bytes, math.max(1, #bytes - draw(100)), #by, by):sub(1, #bytes)
  end,
  absurd_number = function(bytes, draw)
    local places = {}
    for at, digits in bytes:gmatch("()(%d+)") do places[#places + 1] = { at, #digits } end
    if #places == 0 then return bytes:sub(2) end
    local place = places[draw(#places) + 1]
    return replaced(bytes, place[1], place[2], absurd_text[draw(#absurd_text) + 1])
  end,
  removed = function(bytes, draw) return replaced(bytes, draw(#bytes) + 1, draw(16) + 1, "") end,
  repeated = function(bytes, draw)
    local at, count = draw(#bytes) + 1, draw(64) + 1
    return replaced(bytes, at, 0, bytes:sub(at, at + count))
  end,
  lengthened = function(bytes, draw) return bytes .. ("\0"):rep(draw(40) + 1) end,
}

--- The kinds, sorted.
damage.kinds = {}
for kind in pairs(damage.ways) do table.insert(damage.kinds, kind) end
table.sort(damage.kinds)

return damage
