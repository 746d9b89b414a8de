-- Colours of JPEG files at half the resolution, against libjpeg-turbo: all samplings, odd sizes, the last columns.
local core = require "secateur.core"
local files = require "secateur.util.files"
local temporary = require "support.temporary"

local reference = core.npz_load "spec/fixtures/chroma.npz"

-- Both round a few times on the way; nothing else may differ.
local MOST, MEAN = 3, 0.2

describe("a JPEG file", function()
  local root
  setup(function() root = temporary.folder() end)
  teardown(function() files.remove(root) end)

  local function read(name)
    local bytes = reference[name .. ".file"]:totable()
    for i, byte in ipairs(bytes) do bytes[i] = string.char(byte) end
    return core.image_load(temporary.write(root, name .. ".jpg", table.concat(bytes)))
  end

  local names = {}
  for key in pairs(reference) do names[#names + 1] = key:match "^(.*)%.file$" end
  table.sort(names)

  for _, name in ipairs(names) do
    it("is decoded as libjpeg-turbo does: " .. name, function()
      local x, pixels = read(name), reference[name .. ".pixels"]
      local height, width = pixels:size(1), pixels:size(2)
      assert.same({ 3, height, width }, x:shape())
      local sum = 0
      for row = 1, height do
        for column = 1, width do
          for c = 1, 3 do
            local difference = math.abs(x:get(c, row, column) * 255 - pixels:get(row, column, c))
            sum = sum + difference
            assert.is_true(difference < MOST + 0.01, ("%g at column %d, row %d"):format(difference, column, row))
          end
        end
      end
      assert.is_true(sum / (3 * height * width) < MEAN)
    end)
  end
end)
