local golden = require "support.golden"
local needs = require "support.needs"

-- How many values each file must at least give, so that none is lost on the way.
local least = { vgg = 56, vgg_bn = 91, resnet = 182, vit = 123, dlb_vgg = 7, dlb_ops = 48 }

describe("published packages", function()
  for _, file in ipairs(golden.files) do
    it("are reproduced in " .. file, function()
      needs.path(pending, golden.path(file), "reference values")
      local rows = golden.rows(file)
      for _, row in ipairs(rows) do
        local text = ("%s/%s: off by %.2g, tolerance %.2g"):format(row.group, row.name, row.distance, row.tolerance)
        assert.is_true(row.distance <= row.tolerance, text)
      end
      assert.is_true(#rows >= least[file], ("%d values only"):format(#rows))
      assert.same({}, golden.missing(file, rows))
    end)
  end
end)
