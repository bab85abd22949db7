#include "sample/places.h"

#include <stdio.h>

#define PROVINCE "tỉnh Sơn Lạc"
#define TWO_LEVELS_SINCE 2025u		/* districts ended on 1 July */

static const char *const lac_xuan_streets[] = {
	"Hoa Ban", "Bờ Hồ Xuân", "Giếng Ngọc", "Cổng Thành", "Chợ Đình", "Nhà Đèn", "Bến Đò Ngang",
	"Kim Sơn", "Thanh Niên", "Mai Vàng", "Đồi Thông", "Lò Gốm", "Tứ Thông", "Cầu Ván",
	"Ngõ Trạm", "Hàng Bè",
};

static const char *const lac_xuan_former[] = {
	"xã Lạc Hạ, huyện Lạc Giang", "xã Xuân Đình, huyện Lạc Giang",
	"thị trấn Lạc Xuân, huyện Lạc Giang", "phường Giếng Ngọc, thành phố Sơn Lạc",
};

static const char *const suoi_may_hamlets[] = {
	"Nà Phiêng", "Bản Khoang", "Pác Mười", "Khuổi Dầu", "Tà Lù", "Đồng Xay",
	"Lũng Vài", "Suối Mây 1", "Suối Mây 2", "Nậm Hon", "Bản Cưởm", "Phiêng Bằng",
};

static const char *const suoi_may_former[] = {
	"xã Nà Phiêng, huyện Mây Sơn", "xã Khuổi Dầu, huyện Mây Sơn", "xã Suối Mây, huyện Mây Sơn",
};

const struct office offices[OFFICES] = {
	[OFFICE_LAC_XUAN] = {
		.unit = "ubnd-lac-xuan", .org_code = "H99.11",
		.signer = "lac-xuan-nguyen-thi-hoai-thu", .receiver = "lac-xuan-le-minh-chau",
		.account = "lacxuan", .approver_title = "Phó Chủ tịch Ủy ban nhân dân phường",
		.agency = "Ủy ban nhân dân phường Lạc Xuân", .commune = "phường Lạc Xuân",
		.contact = "Bộ phận Một cửa phường Lạc Xuân, số 01, đường Hoa Ban, "
			   "điện thoại 0000 111 022",
		.town = true,
		.streets = lac_xuan_streets, .streets_n = ARRAY_LEN(lac_xuan_streets),
		.former = lac_xuan_former, .former_n = ARRAY_LEN(lac_xuan_former),
	},
	[OFFICE_SUOI_MAY] = {
		.unit = "ubnd-suoi-may", .org_code = "H99.12",
		.signer = "suoi-may-do-quang-vinh", .receiver = "suoi-may-ha-thi-mo",
		.account = "suoimay", .approver_title = "Chủ tịch Ủy ban nhân dân xã",
		.agency = "Ủy ban nhân dân xã Suối Mây", .commune = "xã Suối Mây",
		.contact = "Bộ phận Một cửa xã Suối Mây, thôn Suối Mây 1, điện thoại 0000 112 033",
		.streets = suoi_may_hamlets, .streets_n = ARRAY_LEN(suoi_may_hamlets),
		.former = suoi_may_former, .former_n = ARRAY_LEN(suoi_may_former),
	},
};

static const char *const neighbours[] = {
	"phường Tân Lạc Đông", "phường Hồ Xuân", "xã Mường Khang", "xã Đông Lĩnh Hạ",
	"xã Phú Đồng Sơn", "xã Vĩnh Lộc Thượng", "phường Sông Trà Bắc", "xã Thượng Cốc Hòa",
};

static const char *const far[] = {
	"xã Thanh Phúc Trung, tỉnh Nghệ An", "phường Đông Hải Hạ, thành phố Hải Phòng",
	"xã Quỳnh Lãng, tỉnh Hưng Yên", "xã Kim Tân Thượng, tỉnh Ninh Bình",
	"phường Vĩnh Hội Tây, Thành phố Hồ Chí Minh", "xã Ea Nuôi Hạ, tỉnh Đắk Lắk",
	"xã Trường Long Thủy, thành phố Cần Thơ", "xã Phong Quảng Trung, thành phố Huế",
	"xã Trà Khê Bắc, tỉnh Quảng Ngãi", "phường Gia Thụy Đông, thành phố Hà Nội",
};

static const char *const far_former[] = {
	"xã Yên Lãng Hạ, huyện Tam Trúc, tỉnh Hà Nam (nay là xã Tam Trúc Hạ, tỉnh Ninh Bình)",
	"xã Long Phước Nam, huyện Bến Sỏi, tỉnh Long An (nay là xã Bến Sỏi, tỉnh Tây Ninh)",
	"xã Hòa Thuận Đông, huyện Cái Trầu, tỉnh Hậu Giang (nay là xã Cái Trầu, thành phố Cần Thơ)",
};

static const char *const hospitals[] = {
	"Bệnh viện Đa khoa tỉnh Sơn Lạc", "Bệnh viện Sản - Nhi Sơn Lạc",
	"Trung tâm Y tế khu vực Lạc Giang", "Bệnh viện Đa khoa Hồ Xuân",
};

const char *place_street(struct random *r, const struct office *o)
{
	return o->streets[random_below(r, o->streets_n)];
}

void place_home(char out[PLACE_BYTES_MAX], struct random *r, const struct office *o)
{
	if (random_chance(r, 60)) {
		snprintf(out, PLACE_BYTES_MAX, "%s, " PROVINCE, RANDOM_PICK(r, neighbours));
	} else if (!o->town) {
		snprintf(out, PLACE_BYTES_MAX, "thôn %s, %s, " PROVINCE, place_street(r, o),
			 o->commune);
	} else if (random_chance(r, 120)) {
		snprintf(out, PLACE_BYTES_MAX,
			 "căn hộ %u.%02u, chung cư %s, số %u, đường %s, %s, " PROVINCE,
			 random_between(r, 2, 25), random_between(r, 1, 16), place_street(r, o),
			 random_between(r, 1, 300), place_street(r, o), o->commune);
	} else {
		snprintf(out, PLACE_BYTES_MAX, "số %u%s, đường %s, tổ dân phố %u, %s, " PROVINCE,
			 random_between(r, 1, 420), random_chance(r, 200) ? "A" : "",
			 place_street(r, o), random_between(r, 1, 18), o->commune);
	}
}

void place_former(char out[PLACE_BYTES_MAX], struct random *r, const struct office *o)
{
	snprintf(out, PLACE_BYTES_MAX, "%s, " PROVINCE " (nay là %s, " PROVINCE ")",
		 o->former[random_below(r, o->former_n)], o->commune);
}

void place_origin(char out[PLACE_BYTES_MAX], struct random *r, const struct office *o)
{
	uint32_t which = random_below(r, 100);

	if (which < 35)
		snprintf(out, PLACE_BYTES_MAX, "%s, " PROVINCE, o->commune);
	else if (which < 55)
		place_former(out, r, o);
	else if (which < 75)
		snprintf(out, PLACE_BYTES_MAX, "%s, " PROVINCE, RANDOM_PICK(r, neighbours));
	else if (which < 92)
		snprintf(out, PLACE_BYTES_MAX, "%s", RANDOM_PICK(r, far));
	else
		snprintf(out, PLACE_BYTES_MAX, "%s", RANDOM_PICK(r, far_former));
}

void place_registry(char out[PLACE_BYTES_MAX], struct random *r, const struct office *o,
		    uint32_t year)
{
	if (year > TWO_LEVELS_SINCE)
		snprintf(out, PLACE_BYTES_MAX, "%s, " PROVINCE, o->agency);
	else
		snprintf(out, PLACE_BYTES_MAX, "Ủy ban nhân dân %s, " PROVINCE,
			 o->former[random_below(r, o->former_n)]);
}

void place_event(char out[PLACE_BYTES_MAX], struct random *r, const struct office *o)
{
	if (random_chance(r, 700))
		snprintf(out, PLACE_BYTES_MAX, "%s, " PROVINCE, RANDOM_PICK(r, hospitals));
	else
		place_home(out, r, o);
}
