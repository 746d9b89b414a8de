local rows = require "support.rows"
local tables = require "secateur.report.tables"

local function texts(drops)
  local list = {}
  for i, line in ipairs(drops.lines) do
    list[i] = { line.method, line.sampling }
    for _, cell in ipairs(line.cells) do table.insert(list[i], cell.best and "*" .. cell.text or cell.text) end
  end
  return list
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
    assert.same({ { "dlb", "clustering", "0.002 ± 0.00", "0.400 ± 0.00" },
      { "dlb", "random", "0.001 ± 0.00", "0.300 ± 0.00" },
      { "lrp", "clustering", "*-0.001 ± 0.00", "*0.200 ± 0.00" },
      { "lrp", "random", "*-0.001 ± 0.00", "0.250 ± 0.00" } }, texts(tables.drops(nine())))
  end)

  it("marks the best of each method on request", function()
    assert.same({ { "dlb", "clustering", "0.002 ± 0.00", "0.400 ± 0.00" },
      { "dlb", "random", "*0.001 ± 0.00", "*0.300 ± 0.00" },
      { "lrp", "clustering", "*-0.001 ± 0.00", "*0.200 ± 0.00" },
      { "lrp", "random", "*-0.001 ± 0.00", "0.250 ± 0.00" } }, texts(tables.drops(nine(), { bold = "method" })))
  end)

  it("never prints minus zero, and ties it with zero", function()
    assert.same({ { "lrp", "random", "*0.000 ± 0.00" }, { "ig", "random", "*0.000 ± 0.00" } }, texts(tables.drops(
      rows.results { { { [0.15] = -0.0001 } }, { { [0.15] = 0.0001 }, { method = "ig" } } })))
  end)

  it("leaves out what is missing", function()
    local some = rows.results({ { { [0.15] = 0.1, [0.5] = 0.2 } }, { { [0.15] = 0.05 }, { method = "ig" } } },
      { total = 4 })
    assert.same({ { "lrp", "random", "0.100 ± 0.00", "*0.200 ± 0.00" }, { "ig", "random", "*0.050 ± 0.00", "–" } },
      texts(tables.drops(some)))
    assert.matches("Incomplete: 3 of 4 rows are there%.$", tables.drops_caption(some))
  end)

  it("says what the mean is over", function()
    assert.equal("Drop of accuracy from the unpruned model at each pruning rate, mean ± standard deviation over "
      .. "2 models, 1 dataset and 1 seed (population: divided by n). Lower is better; negative is a gain.",
      tables.drops_caption(rows.results { { { [0.5] = 0 } }, { { [0.5] = 0 }, { model = "vit" } } }))
  end)

  it("counts only what has a column, and says where accuracy is of findings", function()
    local mixed = rows.results { { { [0.5] = 0.1 } }, { { [0.5] = 0.2 }, { dataset = "chest", exact_match = 0.5,
      auroc_drop = 0.05 } } }
    local over = "mean ± standard deviation over 1 model, %d dataset%s and 1 seed"
    local area, accuracy = tables.drops_caption(mixed, "auroc_drop"), tables.drops_caption(mixed)
    assert.matches(over:format(1, ""), area, 1, true)
    assert.matches("The area is the mean over findings.", area, 1, true)
    assert.matches(over:format(2, "s"), accuracy, 1, true)
    assert.matches("Where images may have several findings, accuracy is the share of decisions", accuracy, 1, true)
    local findings = rows.results { { { [0.5] = 0.2 }, { exact_match = 0.5 } } }
    assert.matches("gain. Accuracy is the share of decisions", tables.drops_caption(findings), 1, true)
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
    assert.same({ "false none 0.300 ± 0.10", "false least_squares 0.100 ± 0.00", "true none –",
      "true least_squares 0.050 ± 0.00" }, list)
    assert.equal("| Method | Redundancy | Sampling | Repair | Δ at 0.50 |\n| --- | --- | --- | --- | ---: |\n"
      .. "| LRP | no | random | none | 0.300 ± 0.10 |\n| LRP | no | random | least squares | 0.100 ± 0.00 |\n"
      .. "| LRP | yes | random | none | – |\n| LRP | yes | random | least squares | **0.050 ± 0.00** |\n\nWhy.\n",
      tables.drops_markdown(drops, "Why."))
    local page = tables.drops_html(drops, "")
    assert.truthy(page:find('<th scope="row">LRP</th><td>yes</td><td>random</td><td>least squares</td><td><strong>', 1,
      true))
    local lossless = tables.lossless_html(repaired(), 0.1)
    assert.truthy(lossless:find('<th scope="row">LRP</th><td>no</td><td>none</td><td>0.00</td>', 1, true))
    assert.equal("sensitivity with redundancy", tables.scoring_name { method = "sensitivity", redundancy = true })
  end)

  it("of costs has a line per scoring, repair and rate, and what was measured", function()
    assert.is_nil(tables.costs(repaired()))
    local some = repaired()
    for i, row in ipairs(some) do row.relative_macs, row.decision_agreement = 0.1 * i, i < 3 and 0.5 or nil end
    local costs = tables.costs(some)
    assert.same({ "Method", "Redundancy", "Repair", "Rate", "Δ accuracy", "Same decisions", "MACs" }, costs.heads)
    assert.same({ { "LRP", "no", "none", "0.50", "0.300 ± 0.100", "0.500", "0.150 ± 0.050" },
      { "LRP", "no", "least squares", "0.50", "0.100", "–", "0.300" },
      { "LRP", "yes", "least squares", "0.50", "0.050", "–", "0.400" } }, costs.lines)
    assert.truthy(tables.costs_markdown(costs):find("| LRP | no | none | 0.50 | 0.300 ± 0.100 | 0.500 |", 1, true))
    assert.truthy(tables.costs_html(costs):find('<th scope="row">LRP</th><td>yes</td><td>least squares</td>', 1, true))
  end)

  it("is Markdown", function()
    local drops = tables.drops(rows.results { { { [0.15] = 0.1, [0.125] = 0.2 }, { sampling = "my|own_*way*" } } })
    assert.equal("| Method | Sampling | Δ at 0.125 | Δ at 0.15 |\n| --- | --- | ---: | ---: |\n"
      .. "| LRP | my\\|own\\_\\*way\\* | **0.200 ± 0.00** | **0.100 ± 0.00** |\n\nWhy.\n",
      tables.drops_markdown(drops, "Why."))
  end)

  it("is HTML, names escaped", function()
    local text = tables.drops_html(tables.drops(rows.results { { { [0.5] = 0.1 },
      { method = "<b>", sampling = "a & \"b\" 'c'" } } }), "x < y")
    assert.truthy(text:find("<caption>x &lt; y</caption>", 1, true))
    assert.truthy(text:find('<th scope="row">&lt;B&gt;</th><td>a &amp; &quot;b&quot; &#39;c&#39;</td>'
      .. "<td><strong>0.100 ± 0.00</strong></td>", 1, true))
    assert.truthy(text:find('<th scope="col">0.50</th>', 1, true))
  end)

  it("of lossless rates has a column per sampling", function()
    local text = tables.lossless_html(rows.results {
      { { [0.15] = 0, [0.3] = 0.2 }, { sampling = "random" } }, { { [0.15] = 0, [0.3] = 0 }, { sampling = "mine" } },
      { { [0.15] = 0 }, { sampling = "mine", method = "ig" } } }, 0.05)
    assert.truthy(text:find('<th scope="row">LRP</th><td>0.15</td><td>0.30</td>', 1, true))
    assert.truthy(text:find('<th scope="row">IG</th><td>–</td><td>≥ 0.15</td>', 1, true))
  end)
end)
