local metrics = require "secateur.results.metrics"
local names = require "secateur.report.names"
local results = require "secateur.results"
local rows = require "support.rows"
local tables = require "secateur.report.tables"
local writers = require "secateur.report.table_writers"

local function texts(drops)
  local list = {}
  for i, line in ipairs(drops.lines) do
    list[i] = { line.method, line.sampling }
    for _, cell in ipairs(line.cells) do table.insert(list[i], cell.best and "*" .. cell.text or cell.text) end
  end
  return list
end

-- Lines without their other fields.
local function lists(lines)
  local found = {}
  for i, line in ipairs(lines) do found[i] = table.move(line, 1, #line, 1, {}) end
  return found
end

describe("table of drops", function()
  it("averages over models, datasets and seeds", function()
    local drops = tables.drops(rows.results {
      { { [0] = 0, [0.3] = 0.01, [0.5] = 0.1 }, { model = "vgg", dataset = "cpn", seed = 0 } },
      { { [0] = 0, [0.3] = 0.02, [0.5] = 0.3 }, { model = "vit", dataset = "cpn", seed = 0 } },
      { { [0] = 0, [0.3] = 0.03, [0.5] = 0.5 }, { model = "vit", dataset = "mura", seed = 1 } },
    })
    assert.same({ 0.3, 0.5 }, drops.rates)
    assert.near(0.02, drops.lines[1].cells[1].mean, 1e-12)
    assert.near(math.sqrt(2 / 3) * 0.01, drops.lines[1].cells[1].deviation, 1e-12)
    assert.equal(3, drops.lines[1].cells[1].count)
    assert.same({ { "lrp", "random", "*0.020 ± 0.01", "*0.300 ± 0.16" } }, texts(drops))
  end)

  local function nine()
    return rows.results {
      { { [0.15] = 0.002, [0.5] = 0.4 }, { method = "dlb", sampling = "clustering" } },
      { { [0.15] = 0.001, [0.5] = 0.3 }, { method = "dlb", sampling = "random" } },
      { { [0.15] = -0.0012, [0.5] = 0.2 }, { method = "lrp", sampling = "clustering" } },
      { { [0.15] = -0.0008, [0.5] = 0.25 }, { method = "lrp", sampling = "random" } },
    }
  end

  it("marks the best of each column; what prints the same ties; gains beat all drops", function()
    assert.same({ { "dlb", "clustering", "0.002", "0.400" },
      { "dlb", "random", "0.001", "0.300" },
      { "lrp", "clustering", "*-0.001", "*0.200" },
      { "lrp", "random", "*-0.001", "0.250" } }, texts(tables.drops(nine())))
  end)

  it("marks the best of each method on request", function()
    assert.same({ { "dlb", "clustering", "0.002", "0.400" },
      { "dlb", "random", "*0.001", "*0.300" },
      { "lrp", "clustering", "*-0.001", "*0.200" },
      { "lrp", "random", "*-0.001", "0.250" } }, texts(tables.drops(nine(), { bold = "method" })))
  end)

  it("never prints minus zero, and ties it with zero", function()
    assert.same({ { "lrp", "random", "*0.000" }, { "ig", "random", "*0.000" } }, texts(tables.drops(
      rows.results { { { [0.15] = -0.0001 } }, { { [0.15] = 0.0001 }, { method = "ig" } } })))
  end)

  it("leaves out what is missing, and says of how many a mean is that others have more of", function()
    local some = rows.results({ { { [0.15] = 0.1, [0.5] = 0.2 } }, { { [0.15] = 0.05 }, { method = "ig" } } },
      { total = 4 })
    local drops = tables.drops(some)
    assert.same({ { "lrp", "random", "0.100", "*0.200" }, { "ig", "random", "*0.050", "–" } }, texts(drops))
    assert.matches("Incomplete: 3 of 4 rows are there%.$", tables.drops_caption(some, drops))
    assert.falsy(tables.drops_caption(some, drops):find("n of N", 1, true))
    some = rows.results { { { [0.5] = 0.3 }, { seed = 0 } }, { { [0.5] = 0.1 }, { seed = 1 } },
      { { [0.5] = 0.01 }, { method = "ig" } } }
    drops = tables.drops(some)
    -- The mean of one seed alone is not the best, small as it is.
    assert.same({ { "lrp", "random", "*0.200 ± 0.10" }, { "ig", "random", "0.010 (1 of 2)" } }, texts(drops))
    assert.truthy(tables.drops_caption(some, drops):find("(n of N): the mean of the n there are of N models", 1, true))
  end)

  it("says what the mean is over, and of a single row no deviation", function()
    local some = rows.results { { { [0.5] = 0 } }, { { [0.5] = 0 }, { model = "vit" } } }
    assert.equal("Drop of accuracy from the unpruned model at each pruning rate, mean ± standard deviation over "
      .. "2 models, 1 dataset and 1 seed (population: divided by n). Lower is better; negative is a gain.",
      tables.drops_caption(some, tables.drops(some)))
    assert.equal("0.000 ± 0.00", tables.drops(some).lines[1].cells[1].text)
    some[2].drop = 0.004
    assert.equal("0.002 ± 0.002", tables.drops(some).lines[1].cells[1].text) -- not 0.00: they differ
    local one = rows.results { { { [0.5] = 0.25 } } }
    assert.equal("Drop of accuracy from the unpruned model at each pruning rate, of 1 model, 1 dataset and 1 seed. "
      .. "Lower is better; negative is a gain.", tables.drops_caption(one, tables.drops(one)))
    assert.equal("0.250", tables.drops(one).lines[1].cells[1].text)
  end)

  it("are of any metric, against rows of rate 0", function()
    local some = rows.results { { { [0] = 0, [0.5] = 0.1 } } }
    some[1].ece, some[2].ece, some[1].balanced_accuracy, some[2].balanced_accuracy = 0.05, 0.125, 0.75, 0.5
    local ece = tables.drops(some, { metric = metrics.of(some, "ece") })
    assert.equal("0.075", ece.lines[1].cells[1].text)
    assert.matches("^Rise of ECE from the unpruned model", tables.drops_caption(some, ece))
    assert.equal("0.250", tables.drops(some, { metric = metrics.of(some, "balanced_accuracy") }).lines[1].cells[1].text)
    some = results.new(some:where { rate = 0.5 })
    assert.equal("–", tables.drops(some, { metric = metrics.of(some, "ece") }).lines[1].cells[1].text)
  end)

  it("counts only what has a column, and says where accuracy is of findings", function()
    local mixed = rows.results { { { [0.5] = 0.1 } }, { { [0.5] = 0.2 }, { dataset = "chest", exact_match = 0.5,
      auroc_drop = 0.05 } } }
    local over = "1 model, %d dataset%s and 1 seed"
    local function caption(some, name)
      return tables.drops_caption(some, tables.drops(some, { metric = metrics.of(some, name) }))
    end
    local area, accuracy = caption(mixed, "auroc"), caption(mixed, "accuracy")
    assert.matches(over:format(1, ""), area, 1, true)
    assert.matches("The area is the mean over findings.", area, 1, true)
    assert.matches(over:format(2, "s"), accuracy, 1, true)
    assert.matches("Where images may have several findings, accuracy is the share of decisions", accuracy, 1, true)
    local findings = rows.results { { { [0.5] = 0.2 }, { exact_match = 0.5 } } }
    assert.matches("gain. Accuracy is the share of decisions", caption(findings, "accuracy"), 1, true)
  end)

  local function repaired()
    return rows.results { { { [0.5] = 0.4 }, { repair = "none", seed = 0 } },
      { { [0.5] = 0.2 }, { repair = "none", seed = 1 } }, { { [0.5] = 0.1 }, { repair = "least_squares" } },
      { { [0.5] = 0.05 }, { repair = "least_squares", redundancy = true } } }
  end

  it("has a line per redundancy and repair, and columns for them", function()
    local drops = tables.drops(repaired())
    local list = {}
    for i, line in ipairs(drops.lines) do
      list[i] = ("%s %s %s"):format(line.redundancy, line.repair, line.cells[1].text)
    end
    assert.same({ "false none 0.300 ± 0.10", "false least_squares 0.100 (1 of 2)", "true none –",
      "true least_squares 0.050 (1 of 2)" }, list)
    local shown = tables.drops_table(drops, "Why.")
    assert.equal("| Method | Redundancy | Sampling | Repair | Δ at 0.50 |\n| --- | --- | --- | --- | ---: |\n"
      .. "| LRP | no | random | none | **0.300 ± 0.10** |\n| LRP | no | random | least squares | 0.100 (1 of 2) |\n"
      .. "| LRP | yes | random | none | – |\n| LRP | yes | random | least squares | 0.050 (1 of 2) |\n\nWhy.\n",
      writers.markdown(shown))
    assert.truthy(writers.html(shown):find('<th scope="row">LRP</th><td class="name">no</td>'
      .. '<td class="name">random</td><td class="name">none</td><td><strong>', 1, true))
    local lossless = writers.html(tables.lossless(repaired(), 0.1))
    assert.truthy(lossless:find('<th scope="row">LRP</th><td class="name">no</td><td class="name">none</td>'
      .. "<td>0.00</td>", 1, true))
    assert.equal("sensitivity with redundancy", names.scoring { method = "sensitivity", redundancy = true })
  end)

  it("of costs has a line per scoring, repair and rate, and what was measured", function()
    assert.is_nil(tables.costs(repaired()))
    local some = repaired()
    for i, row in ipairs(some) do row.relative_macs, row.decision_agreement = 0.1 * i, i < 3 and 0.5 or nil end
    local costs = tables.costs(some)
    assert.same({ "Method", "Redundancy", "Repair", "Rate", "Δ accuracy", "Same decisions", "MACs" }, costs.heads)
    assert.same({ { "LRP", "no", "none", "0.50", "0.300 ± 0.100", "0.500", "0.150 ± 0.050" },
      { "LRP", "no", "least squares", "0.50", "0.100 (1 of 2)", "–", "0.300 (1 of 2)" },
      { "LRP", "yes", "least squares", "0.50", "0.050 (1 of 2)", "–", "0.400 (1 of 2)" } }, lists(costs.lines))
    assert.truthy(writers.markdown(costs):find("| LRP | no | none | 0.50 | 0.300 ± 0.100 | 0.500 |", 1, true))
    assert.truthy(writers.html(costs):find('<th scope="row">LRP</th><td class="name">yes</td><td class="name">least', 1,
      true))
    assert.matches("Mean over 1 model, 1 dataset, 1 sampling and 2 seeds, ± standard", costs.caption, 1, true)
  end)

  it("is Markdown", function()
    local drops = tables.drops(rows.results { { { [0.15] = 0.1, [0.125] = 0.2 }, { sampling = "my|own_*way*" } } })
    assert.equal("| Method | Sampling | Δ at 0.125 | Δ at 0.15 |\n| --- | --- | ---: | ---: |\n"
      .. "| LRP | my\\|own\\_\\*way\\* | **0.200** | **0.100** |\n\nWhy.\n",
      writers.markdown(tables.drops_table(drops, "Why.")))
  end)

  it("is HTML, names escaped", function()
    local text = writers.html(tables.drops_table(tables.drops(rows.results { { { [0.5] = 0.1 },
      { method = "<b>", sampling = "a & \"b\" 'c'" } } }), "x < y"))
    assert.truthy(text:find("<caption>x &lt; y</caption>", 1, true))
    assert.truthy(text:find('<th scope="row">&lt;B&gt;</th><td class="name">a &amp; &quot;b&quot; &#39;c&#39;</td>'
      .. "<td><strong>0.100</strong></td>", 1, true))
    assert.truthy(text:find('<th scope="col">0.50</th>', 1, true))
  end)

  it("of lossless rates has a column per sampling, and says over what", function()
    local some = rows.results {
      { { [0.15] = 0, [0.3] = 0.2 }, { sampling = "random" } }, { { [0.15] = 0, [0.3] = 0 }, { sampling = "mine" } },
      { { [0.15] = 0 }, { sampling = "mine", method = "ig" } } }
    local shown = tables.lossless(some, 0.05)
    local text = writers.html(shown)
    assert.truthy(text:find('<th scope="row">LRP</th><td>0.15</td><td>≥ 0.30</td>', 1, true))
    assert.truthy(text:find('<th scope="row">IG</th><td>–</td><td>≥ 0.15</td>', 1, true))
    assert.equal("Lossless pruning rate: the largest measured rate at which, and at all smaller ones, the accuracy on "
      .. "the test split drops by at most 0.05, for one seed. Measured: 2 rates, 0.15 to 0.30. ≥: nothing larger has "
      .. "been measured, so that more may be lossless.", shown.caption)
    for i, row in ipairs(some) do row.seed, row.ece, row.baseline_ece = i % 2, 0.1, 0.09 end
    assert.truthy(tables.lossless(some, 0.125, "ece").caption:find("the ECE on the test split rises by at most 0.125, "
      .. "for each of 2 seeds.", 1, true))
  end)
end)
