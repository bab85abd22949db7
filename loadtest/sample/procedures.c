#include "sample/procedures.h"

const struct procedure procedures[PROCEDURES] = {
	[PROCEDURE_MARITAL] = {
		"1.004873", "Cấp Giấy xác nhận tình trạng hôn nhân", 3, 10000,
		{ "CSDLQGDC", "CSDLHT" },
		{ "Tờ khai cấp Giấy xác nhận tình trạng hôn nhân",
		  "Trích lục ghi chú ly hôn (nếu có)" },
	},
	[PROCEDURE_EXTRACT] = {
		"2.000635", "Cấp bản sao trích lục hộ tịch, bản sao Giấy khai sinh", 0, 8000,
		{ "CSDLQGDC", "CSDLHT" },
		{ "Tờ khai cấp bản sao trích lục hộ tịch", "Giấy tờ chứng minh quan hệ" },
	},
	[PROCEDURE_DEATH] = {
		"1.000656", "Đăng ký khai tử", 0, 0,
		{ "CSDLQGDC", "CSDLHT" },
		{ "Tờ khai đăng ký khai tử", "Giấy báo tử", "Văn bản ủy quyền" },
	},
	[PROCEDURE_BUSINESS] = {
		"1.001612", "Đăng ký thành lập hộ kinh doanh", 3, 100000,
		{ "CSDLQGDC", "CSDLDKKD", "CSDLTHUE" },
		{ "Giấy đề nghị đăng ký hộ kinh doanh", "Biên bản họp thành viên hộ gia đình",
		  "Văn bản ủy quyền của thành viên hộ gia đình" },
	},
	[PROCEDURE_HOUSE] = {
		"1.013225",
		"Cấp giấy phép xây dựng mới đối với công trình cấp III, cấp IV và nhà ở riêng lẻ",
		7, 75000,
		{ "CSDLQGDC", "CSDLDD" },
		{ "Đơn đề nghị cấp giấy phép xây dựng", "Giấy chứng nhận quyền sử dụng đất",
		  "Bản vẽ thiết kế xây dựng", "Bản cam kết bảo đảm an toàn công trình liền kề" },
	},
	[PROCEDURE_PAVEMENT] = {
		"1.013274", "Cấp phép sử dụng tạm thời lòng đường, vỉa hè vào mục đích khác", 5, 0,
		{ "CSDLQGDC" },
		{ "Đơn đề nghị cấp phép sử dụng tạm thời vỉa hè",
		  "Phương án sử dụng tạm thời vỉa hè", "Sơ đồ vị trí đề nghị sử dụng" },
	},
	[PROCEDURE_RESIDENCE] = {
		"1.010041", "Xác nhận thông tin về cư trú", 1, 0,
		{ "CSDLQGDC", "CSDLCT" },
		{ "Tờ khai thay đổi thông tin cư trú" },
	},
	[PROCEDURE_ALLOWANCE] = {
		"1.001776",
		"Thực hiện, điều chỉnh, thôi hưởng trợ cấp xã hội hàng tháng, hỗ trợ kinh phí "
		"chăm sóc, nuôi dưỡng hàng tháng",
		10, 0,
		{ "CSDLQGDC", "CSDLASXH" },
		{ "Tờ khai đề nghị trợ giúp xã hội", "Giấy xác nhận khuyết tật",
		  "Sổ tiết kiệm hoặc số tài khoản nhận trợ cấp" },
	},
	[PROCEDURE_COPY] = {
		"2.000815", "Chứng thực bản sao điện tử từ bản chính", 0, 8000,
		{ "CSDLQGDC" },
		{ "Bản chính giấy tờ, văn bản" },
	},
	[PROCEDURE_LINKED_BIRTH] = {
		"2.002621",
		"Đăng ký khai sinh, đăng ký thường trú, cấp thẻ bảo hiểm y tế cho trẻ em dưới 6 "
		"tuổi",
		3, 0,
		{ "CSDLQGDC", "CSDLHT", "CSDLCT" },
		{ "Tờ khai điện tử liên thông", "Giấy chứng sinh" },
	},
};
