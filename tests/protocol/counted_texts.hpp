// Texts written for these tests, with the counts of real tokenizers (bench/estimate/count.mjs): what keeps the estimate
// from getting worse unnoticed where no tokenizer is at hand.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace weir::protocol {

struct CountedText {
  const char* name;
  std::string_view text;
  std::array<std::uint64_t, 4> tokens;  // o200k, cl100k, deepseek, qwen
};

// clang-format off
inline constexpr CountedText counted_texts[] = {
    {"EnglishLetter",
     R"text(Dear Maria, thank you for your letter of last Tuesday. We have read your questions about the heating in the old school
house, and we agree that something must be done before the winter comes. The boiler was built in 1974 and nobody can
find spare parts for it any more; last February it stopped twice in one week, and the children had to wear their coats
in the classroom. Our plumber suggests that we replace it together with the pipes on the first floor. He expects the work
to take about nine days. Could you ask the parents whether the autumn holidays would suit them? With kind regards, Peter)text",
     {127, 127, 128, 129}},
    {"EnglishExplanation",
     R"text(A queue grows when requests arrive faster than they can be served. If the average rate of arrival stays below the
capacity, the queue will sooner or later empty itself; if it does not, every additional request waits longer than the
one before. This is why a limiter that merely rejects the surplus does not help the caller: the work comes back a moment
later, along with everything that has arrived in the meantime. Holding the request, on the other hand, costs a little
memory and keeps the order. What matters is to tell the caller honestly how long the wait is going to be.)text",
     {121, 122, 122, 122}},
    {"GermanReport",
     R"text(Der Ausschuss hat in seiner gestrigen Sitzung beschlossen, die Brücke über den Mühlbach vollständig zu erneuern. Nach
Angaben der Bürgermeisterin sind die Stahlträger stark verrostet, außerdem genügt die Tragfähigkeit nicht mehr den heutigen
Anforderungen. Während der Bauarbeiten, die voraussichtlich von März bis Oktober dauern, wird der Verkehr über die
Umgehungsstraße geleitet. Fußgänger können weiterhin den schmalen Steg am Wehr benutzen. Die Kosten werden auf rund
zweieinhalb Millionen Euro geschätzt, wovon das Land die Hälfte übernimmt.)text",
     {122, 164, 152, 157}},
    {"FrenchRecipe",
     R"text(Épluchez les pommes, coupez-les en quartiers et retirez les pépins. Faites fondre le beurre dans une grande poêle, ajoutez le
sucre et laissez caraméliser doucement pendant une dizaine de minutes. Disposez ensuite les fruits dans un moule, côté bombé
vers le bas, puis recouvrez-les de pâte en rentrant soigneusement les bords. Enfournez à four chaud pendant trente-cinq minutes.
Attendez que la tarte ait tiédi avant de la retourner sur un plat ; elle est meilleure encore avec un peu de crème fraîche.)text",
     {122, 146, 145, 146}},
    {"ChineseNotice",
     R"text(各位同事大家好：为了提高系统的稳定性，我们计划在本周六晚上十点到十二点对数据库进行升级维护。维护期间，网站和手机应用将暂时无法访问，请大家提前保存好正在
处理的数据，并通知自己负责的客户。升级完成以后，我们会检查所有服务是否正常运行，如果发现问题，会在群里及时通知大家。这次升级主要解决了最近经常出现的查询
速度慢和连接超时的问题，同时也增加了自动备份的功能。如果您有任何疑问，请联系技术部的小王，电话是八零一二。感谢大家的理解和支持！)text",
     {136, 217, 115, 120}},
    {"ChineseQuestion",
     R"text(请帮我写一个函数，输入是一个由整数组成的列表，输出是其中出现次数最多的数字。如果有多个数字出现的次数相同，就返回最小的那一个。列表可能是空的，
这种情况下应该返回空值，而不是抛出异常。请先解释一下你的思路，再给出完整的代码，并且说明时间复杂度和空间复杂度分别是多少。)text",
     {87, 118, 70, 79}},
    {"JapaneseDiary",
     R"text(今日は朝から雨が降っていたので、午前中は家で本を読んで過ごしました。午後になると少し晴れてきたため、近くの図書館まで歩いて行くことにしました。途中の公園では、
子どもたちが水たまりで楽しそうに遊んでいました。図書館では、来月の旅行のために京都についてのガイドブックを二冊借りました。帰り道にスーパーで野菜と魚を買い、
夕食には味噌汁と焼き魚を作りました。明日は友だちと映画を見に行く予定なので、早めに寝ようと思います。)text",
     {152, 233, 141, 132}},
    {"RussianStory",
     R"text(Старый мельник жил один на краю деревни, у самой реки. Каждое утро он выходил на берег, смотрел, высоко ли стоит вода, и
открывал затвор. Зимой, когда река замерзала, он чинил сети и рассказывал детям сказки о водяном, который будто бы живёт под
колесом. Никто не знал, сколько ему лет, а сам он только улыбался и отвечал, что перестал считать после семидесяти.)text",
     {114, 174, 127, 133}},
    {"CppClass",
     R"text(class RingBuffer {
 public:
  explicit RingBuffer(std::size_t capacity) : items_(capacity) {}

  bool push(int value) {
    if (size_ == items_.size()) return false;
    items_[(begin_ + size_) % items_.size()] = value;
    ++size_;
    return true;
  }

  std::optional<int> pop() {
    if (size_ == 0) return std::nullopt;
    const int value = items_[begin_];
    begin_ = (begin_ + 1) % items_.size();
    --size_;
    return value;
  }

 private:
  std::vector<int> items_;
  std::size_t begin_ = 0, size_ = 0;
};)text",
     {157, 158, 158, 158}},
    {"PythonScript",
     R"text(import argparse
import csv
from collections import defaultdict
from pathlib import Path


def read_totals(path: Path) -> dict[str, float]:
    """Sum the column `amount` per customer."""
    totals = defaultdict(float)
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            if not row["customer_id"]:
                continue
            totals[row["customer_id"]] += float(row["amount"])
    return dict(totals)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    for customer, total in sorted(read_totals(parser.parse_args().file).items()):
        print(f"{customer:<12} {total:>10.2f}"))text",
     {159, 155, 169, 157}},
    {"JsonRecords",
     R"text([{"id": 10482, "customer": {"name": "Nora Lind", "email": "nora.lind@example.com"}, "items": [{"sku": "TX-100-BLUE",
"quantity": 2, "price": 14.95}, {"sku": "QP-7", "quantity": 1, "price": 129.0}], "paid": true, "created_at":
"2025-03-14T09:26:53Z"}, {"id": 10483, "customer": {"name": "Omar Haddad", "email": "omar@example.org"}, "items": [],
"paid": false, "created_at": "2025-03-14T09:31:08Z", "note": null}])text",
     {164, 166, 168, 192}},
    {"Base64",
     R"text(grcO7n8aUDm+8H7CNH8GbtCPXcdRJEfjQEMAAmtuVFWUoGVoXWTEmAu41FRKhyGpmgGtIZ61nPahXvbxWh2DC7fOCda7wATnF1xkPH3ssLWA7De8lxLdLmquuUuujS+fopxaKEye91IYKc8QebCA6ddKHBD8q2pCQ9M2Vt6+TB7XlkjoVuj5ovWMlfDOSznBW/+tXC37i7ggthGcuo/4h5auWwXygKaM7ZO2soyw0bNY5rqrSFVlufSQKNVX15qKDmRR4VxwXBXxc1QbRDiiXPdjEtTus8IkaHm/ALPPjtE6vxKaMJetlrRC1tG970hQw/RlRC6zAMM3pkimwNvdc/yV9cLEUYWa/oDUCqOd+5JJ9Aw+432WFEXIBvWMfPISffqJT5KW/PM8CECZkKyXDe2zuEMSAYHpN2EH29r2xfPIZJfuIZsB3ZLx)text",
     {291, 302, 302, 312}},
    {"Identifiers",
     R"text(e922098f-4f9a-4248-a2a5-b1fa7a793fbe
8c918311-e381-47f6-af91-89b654ab2e28
274d9825-6cf1-495f-a8a9-0c6ecfd3a28f
1183ed80-bb8d-43ae-a446-15cfd1d0e536
cab0294c-101b-4a9e-af13-5542068aa9f1
b8fc388f-6de8-4fa8-a119-67bfff92d93f
b384ffaf-7c97-40c8-a1f9-1f52d7916ac1
381f9869-9d53-4a54-ad30-1c74f3c6544c
b662b035-e514-4227-afe7-b4ad4ae0d0b1
eb01e7dd-701e-4265-a2ed-2f6e9c511071
69f7b9c0-cd53-4294-a113-36909f55eff4
0b26efff-8e35-41bb-aa90-beda61133069)text",
     {282, 284, 285, 389}},
    {"LogLines",
     R"text(2025-06-01T01:17:03.584Z INFO [worker-1] answered GET /v1/models in 1520 ms
2025-06-02T06:56:39.137Z WARN [worker-0] retried upstream call in 884 ms
2025-06-03T01:20:43.614Z INFO [worker-7] answered POST /v1/chat/completions in 1002 ms
2025-06-09T05:41:23.936Z ERROR [worker-0] lost connection to 10.0.3.17:6379 in 283 ms
2025-06-12T04:09:36.646Z INFO [worker-8] reloaded the configuration in 594 ms)text",
     {168, 168, 170, 227}},
    {"EmojiChat",
     R"text(omg that was SO good 😂😂 can't believe they won!! 🎉🏆 see u tomorrow at 8? ☕️ I'll bring the cake 🍰😋
haha ok 👍 don't forget the candles this time 🙈🕯️ love you all ❤️❤️)text",
     {56, 69, 66, 62}},
    {"Mixture",
     R"text(# 部署说明

运行 `docker compose up -d` 启动服务，然后打开 http://localhost:8080/healthz 检查状态。If it prints `ok`, continue:

```sh
curl -s http://localhost:8080/v1/models | jq '.data[].id'
```

| name | tokens | 备注 |
|---|--:|---|
| alpha | 1024 | 默认 |
| beta | 65536 | nur für Tests, später größer |)text",
     {104, 113, 104, 117}},
};
// clang-format on

}  // namespace weir::protocol
