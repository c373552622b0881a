"""Makes the demo's document: a made-up one-page decision, laid out after Decree 30/2020, Annex I.

    uv run --no-project --with fpdf2 docs/demo-document/make_decision.py FONT_FOLDER OUTPUT.pdf

``FONT_FOLDER`` holds Tinos-{Regular,Bold,Italic,BoldItalic}.ttf (Debian: fonts-croscore), which is
drawn to the widths of Times New Roman and is free (SIL Open Font License 1.1, embedding allowed);
a subset is embedded. The same input gives the same bytes. The text is the project's own.

Decree 30/2020 Annex I: A4; margins left 30-35, right 15-20, top and bottom 20-25 mm; sizes below.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import sys
from pathlib import Path

from fpdf import FPDF
from fpdf.enums import Align, XPos, YPos

LEFT, RIGHT, TOP, BOTTOM = 30, 18, 20, 20  # millimetres
WIDTH = 210 - LEFT - RIGHT
HALF = 74  # millimetres: the left column, for the agency and the recipients
LINE = 6.4
SIZE = 13.5  # points, of the text
MADE = dt.datetime(2026, 11, 24, 8, 0, tzinfo=dt.timezone(dt.timedelta(hours=7)))

GROUNDS = (
    "Căn cứ Luật Giao dịch điện tử số 20/2023/QH15 ngày 22 tháng 6 năm 2023;",
    "Căn cứ Nghị định số 30/2020/NĐ-CP ngày 05 tháng 3 năm 2020 của Chính phủ về công tác văn thư;",
    (
        "Căn cứ Nghị định số 68/2024/NĐ-CP ngày 25 tháng 6 năm 2024 của Chính phủ"
        " quy định về chữ ký số chuyên dùng công vụ;"
    ),
    "Theo đề nghị của Chánh Văn phòng Bộ.",
)
ARTICLES = (
    (
        "Điều 1.",
        (
            "Thành lập Tổ công tác thí điểm ký số từ xa (sau đây gọi là Tổ công tác),"
            " giúp Lãnh đạo Bộ triển khai việc ký số văn bản trên môi trường điện tử "
            "tại các đơn vị thuộc Bộ."
        ),
    ),
    (
        "Điều 2.",
        (
            "Tổ công tác có nhiệm vụ lập kế hoạch thí điểm, hướng dẫn công chức, viên"
            " chức ký số bằng khóa bí mật được bảo vệ trong thiết bị an toàn phần "
            "cứng, và báo cáo kết quả trước ngày 31 tháng 12 năm 2026. Tổ công tác "
            "làm việc theo chế độ kiêm nhiệm và tự giải thể sau khi hoàn thành nhiệm "
            "vụ."
        ),
    ),
    (
        "Điều 3.",
        (
            "Quyết định này có hiệu lực kể từ ngày ký. Chánh Văn phòng Bộ, Thủ trưởng"
            " các đơn vị thuộc Bộ và các thành viên Tổ công tác chịu trách nhiệm thi "
            "hành Quyết định này./."
        ),
    ),
)
RECIPIENTS = ("- Như Điều 3;", "- Bộ trưởng (để báo cáo);", "- Lưu: VT, TCCB.")


class Decision(FPDF):
    """One page with the parts of Annex I, top to bottom."""

    def __init__(self, fonts: Path) -> None:
        super().__init__(format="A4", unit="mm")
        self.set_margins(LEFT, TOP, RIGHT)
        self.set_auto_page_break(auto=False)
        for style, name in (("", "Regular"), ("B", "Bold"), ("I", "Italic"), ("BI", "BoldItalic")):
            self.add_font("Tinos", style, fonts / f"Tinos-{name}.ttf")
        self.set_creation_date(MADE)
        self.set_lang("vi")
        self.set_title("Quyết định về việc thành lập Tổ công tác thí điểm ký số từ xa")
        self.set_author("Bộ Nội vụ (văn bản mẫu)")
        self.set_producer("remote-signing, docs/demo-document")
        self.add_page()

    def file_id(self) -> str:
        """The PDF's identifier, which would otherwise be random."""
        name = hashlib.sha256(b"remote-signing demo document 1").hexdigest()[:32].upper()
        return f"<{name}><{name}>"

    def line_of(self, text: str, style: str, size: float, left: float, width: float) -> None:
        """A centred line in the column that begins at ``left``."""
        self.set_font("Tinos", style, size)
        self.set_x(left)
        self.cell(width, LINE, text, align=Align.C, new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def rule(self, centre: float, length: float) -> None:
        """The line below a heading."""
        height = self.get_y() + 0.6
        self.line(centre - length / 2, height, centre + length / 2, height)

    def paragraph(self, text: str, style: str = "", heading: str = "") -> None:
        """A justified paragraph, its first line indented by 1.27 cm."""
        self.set_font("Tinos", style, SIZE)
        with (
            self.text_columns(text_align=Align.J, line_height=1.3) as column,
            column.paragraph(first_line_indent=12.7, bottom_margin=1.2) as lines,
        ):
            if heading:
                self.set_font("Tinos", "B", SIZE)
                lines.write(f"{heading} ")
                self.set_font("Tinos", style, SIZE)
            lines.write(text)

    def head(self) -> None:
        """Agency and number on the left; country, motto, place and date on the right."""
        right, width = LEFT + HALF - 12, WIDTH - HALF + 12
        self.line_of("BỘ NỘI VỤ", "B", 13, LEFT, HALF - 12)
        self.rule(LEFT + (HALF - 12) / 2, 20)
        self.set_y(TOP)
        self.line_of("CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM", "B", 12.5, right, width)
        self.line_of("Độc lập - Tự do - Hạnh phúc", "B", 13.5, right, width)
        self.rule(right + width / 2, 58)
        self.ln(3)
        top = self.get_y()
        self.line_of("Số: 1124/QĐ-BNV", "", 13, LEFT, HALF - 12)
        self.set_y(top)
        self.line_of("Hà Nội, ngày 24 tháng 11 năm 2026", "I", 13.5, right, width)

    def decides(self) -> None:
        """Kind of document and what it is about; who decides; on what grounds."""
        self.ln(7)
        self.line_of("QUYẾT ĐỊNH", "B", 14, LEFT, WIDTH)
        about = "Về việc thành lập Tổ công tác thí điểm ký số từ xa"
        self.line_of(about, "B", 14, LEFT, WIDTH)
        self.rule(LEFT + WIDTH / 2, 45)
        self.ln(5)
        self.line_of("BỘ TRƯỞNG BỘ NỘI VỤ", "B", 14, LEFT, WIDTH)
        self.ln(3)
        for ground in GROUNDS:
            self.paragraph(ground, "I")
        self.ln(2)
        self.line_of("QUYẾT ĐỊNH:", "B", 14, LEFT, WIDTH)
        self.ln(2)

    def foot(self) -> None:
        """Recipients on the left, who signs on the right."""
        self.ln(5)
        top = self.get_y()
        right, width = LEFT + HALF, WIDTH - HALF
        self.set_font("Tinos", "BI", 12)
        self.cell(HALF, 5.4, "Nơi nhận:", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        self.set_font("Tinos", "", 11)
        for recipient in RECIPIENTS:
            self.cell(HALF, 5, recipient, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        self.set_y(top)
        self.line_of("TL. BỘ TRƯỞNG", "B", 13.5, right, width)
        self.line_of("VỤ TRƯỞNG VỤ TỔ CHỨC CÁN BỘ", "B", 13.5, right, width)
        self.set_y(top + 40)
        self.line_of("Nguyễn Văn An", "B", 14, right, width)
        self.set_y(297 - 15)
        notice = "Văn bản mẫu để trình diễn dịch vụ ký số từ xa; không có giá trị pháp lý."
        self.line_of(notice, "I", 9, LEFT, WIDTH)


def main() -> None:
    """Make the page."""
    fonts, output = map(Path, sys.argv[1:3])
    os.environ["SOURCE_DATE_EPOCH"] = str(int(MADE.timestamp()))  # fontTools dates subsets by it
    page = Decision(fonts)
    page.head()
    page.decides()
    for number, text in ARTICLES:
        page.paragraph(text, heading=number)
    page.foot()
    page.output(str(output))


if __name__ == "__main__":
    main()
