"""Made-up Chinese sentences with persons (PER), places (LOC) and organisations (ORG), for the embedded model.

All names, words and templates were written for this project. What is held out is never trained on: a name belongs to
one side for good, by a checksum of its text (of its stem, where it has one), and each template to one list.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import random

LABELS: Final = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-ORG", "I-ORG", "<START>", "<STOP>")
HELD_OUT_SHARE: Final = 8  # one name in so many

SURNAMES: Final = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金石"
    "廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤温康施文牛樊葛邢安齐易乔伍庞颜倪庄聂章鲁岳翟"
    "殷詹申欧耿关兰焦俞左柳甘祝包宁尚符舒阮柯纪梅童凌毕单季裴霍涂成苗谷盛曲翁冉骆蓝路游辛靳管柴蒙鲍华喻祁蒲房滕屈饶解牟艾尤阳时"
    "穆农司卓古吉缪简车项连芦麦褚娄窦戚岑景党宫费卜冷晏席卫米柏宗瞿桂全佟应臧闵苟邬边卞姬师和仇栾隋商刁沙荣巫寇桑郎甄丛仲虞敖巩明佘池查麻苑迟邝"
)
COMPOUND_SURNAMES: Final = ("欧阳", "上官", "司马", "诸葛", "东方", "皇甫", "尉迟", "公孙", "慕容", "令狐", "司徒", "夏侯", "端木", "南宫")
GIVEN: Final = (
    "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉兰红梅建国文志海燕小晓东春荣鹏飞龙宇浩然子轩博雅欣怡佳琪雨涵梦诗思远嘉俊"
    "凯旋天翔成功德福林森峰岩波涌泉清源江河湖海阳光辉耀星辰月云雪冰霜晴岚菲蕾莉莎薇婷婉柔雯静娴慧智聪睿哲宁安康乐喜庆祥瑞吉昌盛"
    "兴旺永久恒毅坚定忠诚信义仁礼孝廉正直善良美珍珠宝玲珑琳瑶璐莹晶瑾瑜琴棋书画墨翰章学问知行健力威武振邦卫民爱家和睦同心立新"
    "启航帆舟程路达通顺利进升腾跃起鸣凤鹤鹰雁鸿鹃莺萍荷莲菊竹松柏桐楠桦枫杏桃李梨棠枝叶根苗青翠碧紫丹彤朱黄金银铁钢石磐山川原野"
    "田园圃宏伯仲叔季长少大元亨贞乾坤世代传承继祖宗先后前程锦绣繁荣昭朗旭昊晗晨曦昕晖暄景煜炜炎灿烨焕熙照亮可心一凡亦舒若曦诺言"
    "铭鑫钰锋锐镇铮锦淑贤惠娅妍姗姣娇媛嫣嫒妮妙好如意卓越奇珂珊玫瑰璇玮琦瑛璞彬斌鹤鸣培养树植栋梁才材艺术生产业勤劳朴实"
)
FOREIGN: Final = (
    "约翰史密斯玛丽安德鲁罗伯特威廉詹姆杰克逊汤姆彼得保罗大卫迈克尔凯瑟琳伊丽莎白乔治布朗戴维琼爱德华亨利查理路易斯弗兰克卡尔马克"
    "米勒泰勒安娜索菲亚尼古拉维奇伊万诺夫斯基费德里科加西巴伦比尔盖茨艾伦图灵牛顿贝多芬莫扎特肖邦海明威莎士雨果托尔"
)

FAMOUS: Final = ("北京", "上海", "广州", "深圳", "杭州", "南京", "天津", "重庆", "成都", "武汉", "西安", "中国", "美国", "日本", "香港")
PLACES: Final = (
    *"苏州 无锡 常州 宁波 温州 嘉兴 绍兴 金华 台州 合肥 芜湖 安庆 福州 厦门 泉州 漳州 南昌 九江 赣州 济南 青岛 烟台 潍坊 淄博 威海 临沂 郑州 "
    "洛阳 开封 南阳 信阳 长沙 株洲 湘潭 衡阳 岳阳 常德 珠海 佛山 东莞 中山 惠州 汕头 湛江 肇庆 南宁 桂林 柳州 北海 海口 三亚 绵阳 宜宾 乐山 "
    "泸州 贵阳 遵义 昆明 大理 丽江 曲靖 拉萨 咸阳 宝鸡 延安 汉中 兰州 天水 敦煌 西宁 银川 乌鲁木齐 喀什 哈尔滨 齐齐哈尔 牡丹江 大庆 长春 吉林 "
    "沈阳 大连 鞍山 丹东 锦州 石家庄 唐山 保定 秦皇岛 邯郸 承德 太原 大同 临汾 呼和浩特 包头 赤峰 徐州 扬州 镇江 南通 连云港 宜昌 襄阳 荆州 黄石 "
    "河北 山西 辽宁 黑龙江 江苏 浙江 安徽 福建 江西 山东 河南 湖北 湖南 广东 广西 海南 四川 贵州 云南 西藏 陕西 甘肃 青海 宁夏 新疆 内蒙古 台湾 澳门".split(),
    *"英国 法国 德国 俄罗斯 意大利 西班牙 加拿大 澳大利亚 印度 韩国 泰国 越南 巴西 埃及 希腊 瑞士 瑞典 挪威 新加坡 马来西亚 印度尼西亚 墨西哥 阿根廷 "
    "荷兰 比利时 波兰 土耳其 伊朗 以色列 南非 新西兰 葡萄牙 芬兰 丹麦 奥地利 匈牙利 乌克兰 古巴 智利 秘鲁 蒙古 朝鲜 缅甸 老挝 柬埔寨 菲律宾".split(),
    *"纽约 伦敦 巴黎 柏林 东京 大阪 首尔 曼谷 莫斯科 罗马 米兰 马德里 悉尼 墨尔本 多伦多 温哥华 华盛顿 洛杉矶 旧金山 芝加哥 波士顿 西雅图 "
    "开罗 雅典 维也纳 日内瓦 布鲁塞尔 阿姆斯特丹 孟买 新德里 迪拜 河内 吉隆坡 雅加达 欧洲 亚洲 非洲 北美 南美 东南亚 长江 黄河 珠江 泰山 "
    "黄山 华山 峨眉山 西湖 太湖 洞庭湖 青海湖 长城 故宫 天安门 外滩 浦东 海淀 朝阳 中关村 西单 王府井 鼓浪屿 喜马拉雅山 太平洋 大西洋 渤海 东海 南海".split(),
)
PLACE_STEMS: Final = (
    "平安永宁长兴东西南北新旧大小上下高清白青黄红金银玉石龙凤虎马牛羊鹤云雨雪风星月阳阴山水江河溪泉湖海沙岩林松柏桃李梅竹柳荷花草田"
    "丰富祥瑞福德仁义和顺昌盛隆泰康乐文武成广远定庆吉太双三五七九万千百临义乌靖化通建陵城关口门桥坪坝岭坡塘湾洲沟峰原阜沛泽淮汉湘"
)
PLACE_ENDS: Final = (
    *("市 县 区 镇 乡 村 省 州 岛 山 河 江 湖 海 路 街 大街 大道 巷 桥 庄 屯 寨 湾 港 半岛 高原 盆地 平原 水库 公园 广场 机场 火车站 码头 "
      "新区 开发区 古镇 小区 花园 胡同 峡谷 沙漠 草原 森林公园 高速公路 景区 自治县 自治州 街道").split(),
)

ORG_STEMS: Final = (
    "华中国天地宇宙星辰联合创新科兴业达信诚恒泰隆盛丰源金银鑫宝龙凤腾飞跃翔鹏程远大伟博智慧明光辉阳东方南北西海洋山川江河长城万里"
    "百千亿利益民生安康健宁和平顺祥瑞福禄正德仁义立新建设开元启航扬帆青蓝绿红紫白云雷电力高精尖美佳乐优特汇通晶微芯数据云网讯联"
)
FAMOUS_ORGS: Final = (
    *"北京大学 清华大学 复旦大学 浙江大学 南京大学 上海交通大学 武汉大学 中山大学 中国科学院 中国银行 工商银行 建设银行 农业银行 华为公司 腾讯公司 "
    "阿里巴巴集团 百度公司 京东集团 小米公司 联想集团 新华社 人民日报社 中央电视台 联合国 世界卫生组织 欧盟 国务院 外交部 教育部 财政部 国防部 "
    "最高人民法院 全国人大 共青团中央 红十字会 奥委会 世界银行 微软公司 谷歌公司 苹果公司 哈佛大学 剑桥大学 牛津大学".split(),
)
ORG_KINDS: Final = (
    *"公司 集团 有限公司 股份有限公司 科技公司 科技有限公司 贸易公司 电子公司 汽车公司 航空公司 保险公司 建筑公司 软件公司 文化传媒公司 物流公司 医药公司 能源集团 "
    "钢铁集团 置业 证券 银行 基金会 研究所 研究院 实验室 设计院 出版社 杂志社 报社 电视台 电台 俱乐部 足球俱乐部 乐团 剧院 酒店 饭店 超市 商场 工厂 机械厂 "
    "化工厂 食品厂 律师事务所 学校 学院 医院 诊所 协会 学会 联合会 合作社".split(),
)
PUBLIC_KINDS: Final = (
    *"大学 师范大学 理工大学 医科大学 农业大学 财经大学 外国语大学 交通大学 职业技术学院 美术学院 音乐学院 体育学院 第一中学 第二中学 第三中学 第五中学 实验中学 "
    "中学 小学 实验小学 幼儿园 人民医院 第一医院 中心医院 中医院 儿童医院 图书馆 博物馆 美术馆 科技馆 体育局 公安局 教育局 卫生局 税务局 市政府 人民政府 县政府 "
    "省政府 市委 省委 县委 法院 中级人民法院 检察院 消防队 交警大队 银行 日报社 晚报社 电视台 足球队 篮球队 商会 文联 作家协会 科学院 社会科学院 气象局 环保局".split(),
)

TIMES: Final = (
    *"昨天 今天 明天 前天 后天 去年 今年 明年 上个月 这个月 下个月 上周 本周 下周 周末 星期一 星期五 早上 上午 中午 下午 晚上 凌晨 傍晚 最近 目前 现在 "
    "当时 后来 不久前 三年前 十年后 春节期间 暑假 寒假 国庆节 中秋节 上世纪 近年来 一直 刚刚 曾经 多次 经常 每天 每年 那一年 毕业后 退休后 会后 随后 其间".split(),
)
JOBS: Final = (
    *"教授 老师 医生 律师 记者 经理 董事长 总裁 主任 院长 校长 局长 市长 省长 县长 书记 主席 部长 总统 总理 工程师 科学家 作家 诗人 画家 歌手 演员 导演 "
    "教练 运动员 队长 警察 司机 厨师 农民 工人 学生 博士 硕士 研究员 发言人 负责人 创始人 顾问 秘书 会计 护士 院士 馆长 编辑 主持人 志愿者 法官 检察官".split(),
)
WORDS: Final = (
    *"高兴 马上 张开 方向 安全 白色 金钱 江边 黄色 石头 文章 王国 林业 周末 时间 成功 常常 关于 于是 温度 任何 应该 向前 全部 万一 花园 水平 严重 平安 和平 "
    "问题 情况 工作 生活 经济 社会 政治 文化 教育 科学 技术 艺术 音乐 电影 小说 新闻 报告 会议 计划 项目 合同 协议 产品 市场 价格 质量 服务 客户 资金 "
    "投资 利润 成本 管理 系统 软件 数据 网络 手机 电脑 汽车 火车 飞机 轮船 自行车 道路 桥梁 房子 学生 孩子 父母 朋友 同事 邻居 客人 苹果 香蕉 米饭 面条 "
    "牛奶 咖啡 绿茶 早餐 午饭 晚饭 天气 下雨 下雪 刮风 太阳 月亮 星星 春天 夏天 秋天 冬天 动物 植物 大象 老虎 小狗 小猫 金鱼 树木 鲜花 草地 森林 河流 "
    "身体 健康 疾病 药物 手术 感冒 运动 足球 篮球 跑步 游泳 比赛 冠军 成绩 考试 作业 课程 知识 语言 历史 地理 数学 物理 化学 生物 法律 规定 政策 改革 "
    "发展 进步 变化 原因 结果 影响 作用 意义 目标 任务 责任 权利 机会 挑战 困难 经验 方法 办法 思想 精神 感情 爱情 友谊 梦想 希望 幸福 快乐 悲伤 愤怒 "
    "颜色 声音 味道 形状 大小 数量 重量 长度 速度 距离 空间 位置 东西 事情 故事 消息 信件 电话 邮件 照片 图片 视频 歌曲 舞蹈 节目 游戏 玩具 礼物 衣服 "
    "鞋子 帽子 眼镜 手表 钱包 雨伞 书包 钢笔 本子 词典 地图 国家 城市 农村 大学生 中学生 银行卡 公司职员 医院里 学校里 车站旁 公园里 山上 河边 湖面 海水 "
    "路上 街头 村里 省内 市场价 区别 县城 岛屿 港口 集团军 大家 人们 有人 自己 别人 老人 青年 妇女 儿童 群众 代表 专家 学者 领导 干部 员工 团队 成员".split(),
)
ADJECTIVES: Final = (
    *"新的 旧的 重要的 美丽的 著名的 普通的 困难的 简单的 复杂的 年轻的 优秀的 巨大的 详细的 有趣的 安静的 热闹的 便宜的 昂贵的 最新的 古老的 传统的 现代的 "
    "难忘的 特别的 真实的 珍贵的".split(),
)

#: {P} person, {L} place, {O} organisation; {T} time, {J} job, {W} word, {A} adjective, {N} number.
TEMPLATES: Final = (
    # One entity.
    "{P}是一名{J}", "{P}是谁", "我认识{P}", "{P}来了", "{P}{T}感冒了", "{P}很喜欢{W}", "{J}{P}说", "{P}说他不知道这件事", "{P}写了一本关于{W}的书",
    "{P}买了{N}本书", "我和{P}是同学", "请问{P}在吗", "{P}的{W}不见了", "大家都叫他{P}", "他的名字叫{P}", "{T}{P}请我们吃饭", "{P}今年{N}岁", "作者{P}",
    "记者{P}报道", "{P}先生您好", "{P}女士{T}不在", "这本书的作者是{P}", "{P}讲了一个{A}故事", "{P}把{W}放在桌子上", "老师表扬了{P}", "{P}被选为代表",
    "{P}对{W}很感兴趣", "{P}同志作了报告", "{P}表示感谢", "{P}认为{W}很重要", "听{P}说{T}要下雨", "给{P}打个电话", "{P}唱了一首歌", "{P}，你好", "我叫{P}",
    "{P}获得了冠军", "凶手不是{P}", "{P}正在{W}", "{P}在家里看电视", "{P}跑得很快", "妈妈让{P}去买菜", "{P}考了{N}分",
    "{L}很美", "我爱{L}", "{L}{T}下雪了", "{L}的{W}很有名", "他去{L}了", "{T}我要去{L}旅游", "从{L}回来", "欢迎来到{L}", "{L}有{N}万人口", "{L}的{W}问题",
    "我们住在{L}", "{L}位于南方", "{L}是一个{A}地方", "{T}{L}发生了地震", "{L}的冬天很冷", "坐火车去{L}要{N}个小时", "{L}地区经济发展很快", "飞往{L}的航班取消了",
    "这里是{L}", "{L}人很热情", "他出生在{L}", "{L}举行了{A}比赛", "他们到达{L}", "{L}的天气怎么样", "在{L}的时候我很开心", "沿着{L}一直走", "他对{L}不熟悉",
    "{O}成立于{N}年", "{O}发布了{A}报告", "他在{O}工作", "她毕业于{O}", "我考上了{O}", "{O}招聘{N}人", "{O}的{W}很好", "{O}{T}宣布降价", "我想去{O}",
    "{O}有{N}名员工", "{O}是一所{A}学校", "据{O}报道", "{O}表示不会涨价", "{O}与客户签订了合同", "他被{O}录取了", "{O}提供{W}服务", "这是{O}的产品",
    "{O}举办了{A}活动", "{O}负责人说", "{O}的股票上涨了", "他捐给{O}{N}元", "{O}决定投资{W}", "{O}派人来了", "他是{O}的{J}", "{O}今年的利润增长了",
    # Two and more.
    "{P}在{L}工作", "{P}在{O}读书", "{P}在{O}上班", "{P}去了{L}", "{P}{T}去了{L}", "{P}住在{L}", "{P}是{L}人", "{P}出生于{L}", "{P}是{O}的{J}",
    "{P}毕业于{O}", "{P}加入了{O}", "{P}离开了{O}", "{P}从{L}来到{L}", "{P}{T}从{L}坐车去{L}", "{P}和{P}是好朋友", "{P}和{P}一起去了{L}", "{P}给{P}写信",
    "{P}、{P}和{P}都来了", "{P}与{P}在{L}见面", "{O}{J}{P}说", "{O}{J}{P}{T}访问{L}", "{O}位于{L}", "{O}在{L}成立", "{O}的总部在{L}", "{L}的{O}很有名",
    "{T}{P}在{L}结婚了", "{P}{T}在{O}作报告", "{P}担任{O}{J}", "{P}被任命为{O}{J}", "{P}当选{O}{J}", "{L}{J}{P}会见了{P}", "{O}和{O}签署了合作协议",
    "{O}向{O}提供{W}", "{O}收购了{O}", "{P}代表{O}参加会议", "{P}在{O}学习{W}", "{P}把公司搬到了{L}", "{P}带着孩子去{L}玩", "{L}到{L}的火车开了",
    "从{L}到{L}有{N}公里", "{L}、{L}和{L}都下雨了", "{L}队战胜了{L}队", "{P}代表{L}参加比赛", "{P}在{L}开了一家店", "{P}的老家在{L}", "{P}的爸爸在{O}当{J}",
    "{P}想考{O}", "{P}{T}到{O}看病", "记者{P}从{L}发来报道", "{O}记者{P}报道", "{T}，{P}到{L}出差", "{T}，{O}在{L}召开会议", "{O}的{P}和{O}的{P}参加了比赛",
    "{P}打败了{P}", "{P}爱上了{P}", "{P}借给{P}{N}元", "我在{L}遇见了{P}", "我在{O}认识了{P}", "听说{P}考上了{O}", "{P}说{L}的{W}很好吃", "{P}问{P}要不要去{L}",
    "{L}的{P}给我打电话", "{O}送给{P}一台电脑", "{O}聘请{P}为{J}", "{P}回到{L}以后开始学习{W}", "{P}写的书在{L}出版了", "{P}批评了{O}的做法", "{L}和{L}建立了外交关系",
    "{L}{J}{P}{T}抵达{L}", "{P}经过{L}到达{L}", "{P}在{L}的{O}工作", "{P}在{L}的家里", "{P}创办了{O}", "{P}参观了{O}", "{P}游览了{L}", "他跟{P}去{L}看{W}",
    "{P}研究{W}已经{N}年了", "{P}{T}在{L}拍电影", "{O}请{P}到{L}讲课", "他们在{L}找到了{P}", "警方在{L}抓获了{P}", "{P}向{O}申请了{W}", "{O}在{L}和{L}都有分店",
    "今天{P}没有来，因为他在{L}", "{P}原来在{O}，后来去了{O}", "{P}小时候住在{L}，后来搬到了{L}", "{P}现任{O}{J}，曾在{L}工作", "{P}，{L}人，{O}{J}",
    "毕业后{P}进入{O}", "去年{P}考入{O}", "{L}的朋友{P}", "{P}先后在{O}、{O}工作", "就读于{O}的{P}", "来自{L}的{P}", "{O}学生{P}", "来自{O}的{J}{P}",
)
#: Sentences without an entity.
PLAIN: Final = (
    "{T}天气很好", "我想吃{W}", "这个{W}很{A}", "{W}和{W}都很重要", "他买了{A}{W}", "请把{W}给我", "我们应该重视{W}", "{T}我要学习{W}", "{W}的价格是{N}元", "你喜欢{W}吗",
    "{A}{W}在桌子上", "他是一名{J}", "{J}说{W}没有问题", "那位{J}很{A}", "{W}对{W}有影响", "{T}有{N}个人参加", "我不知道{W}在哪里", "这是{A}{W}，不是{A}{W}", "关于{W}的报告",
    "随着{W}的发展，{W}越来越多", "大家马上高兴起来", "张开嘴巴", "他方向感很好", "好好学习天天向上", "学校里有很多学生", "公司{T}开会", "医院离这里不远", "银行{T}不上班", "大学生活很有趣",
    "市场上有很多{W}", "他在家里看{W}", "老师在教室里上课", "她去超市买{W}", "下班以后去公园散步", "他从家里出发", "我去了图书馆", "他在大学里学习{W}", "我家在山上", "那条路很长",
    "政府应该管理{W}", "这家公司很{A}", "县里和村里都有{W}", "东边的河里有鱼", "对于{W}，我们要有{W}", "{N}年{N}月{N}日", "一共{N}个", "第{N}次", "你好", "谢谢", "再见", "没关系",
)

#: Never trained on.
HELD_OUT_TEMPLATES: Final = (
    "{P}昨晚梦见自己飞到了{L}", "据悉，{P}已经辞去{O}{J}一职", "{L}警方逮捕了{P}", "{P}乘坐高铁抵达{L}", "{O}将在{L}建设新基地", "{P}陪同{P}考察了{O}", "本报{L}电（记者{P}）",
    "为了见{P}一面，他赶到{L}", "{O}工作人员{P}告诉我们", "{P}考察{L}时强调{W}", "{P}就{W}接受了{O}的采访", "{L}人{P}发明了{A}{W}", "{P}即将前往{L}", "{P}任教于{O}",
    "昨日{O}公布了{N}份名单", "{L}居民{P}买彩票中了{N}元", "{O}起诉了{O}", "{P}夫妇定居{L}", "{P}效力于{O}", "{P}转学到{O}了", "{P}常常想念{L}", "位于{L}的{O}起火了",
    "{P}邀请{P}加盟{O}", "你见过{P}吗", "{P}不愿意回{L}", "他把{W}寄到了{L}", "{L}比{L}更热", "谁能帮我联系一下{P}", "{P}辞职了", "{O}破产了", "{L}停电了", "{P}在{L}遭遇车祸",
    "{P}自{O}毕业", "游客{P}在{L}迷路了", "{O}与{P}解除合同", "{P}捐赠的{W}送到了{L}", "{P}骑自行车环游{L}", "他托{P}从{L}带回{W}", "{P}和家人在{L}过年", "{O}副{J}{P}出席仪式",
    "{L}到底有什么好玩的", "{P}昨天在{O}门口等了{N}个小时", "{O}食堂的{W}真好吃", "只有{P}没交作业", "{P}赢了{P}", "{O}击败{O}夺冠",
)
HELD_OUT_PLAIN: Final = (
    "这条消息让人{W}", "我昨晚没有睡好", "孩子们在草地上踢球", "{W}比{W}贵{N}元", "请尽快完成{W}", "大家一起讨论{W}", "他终于明白了{W}的意义", "{A}{W}真让人羡慕", "下午三点开会", "学校门口有一棵树",
)
ENDINGS: Final = ("", "", "。", "。", "。", "！", "？", "，", "…", "；")


@dataclass(frozen=True)
class Sentence:
    """A sentence with its entities, each (type, begin, end); the end is exclusive."""

    text: str
    entities: tuple[tuple[str, int, int], ...]


def held_out(name: str) -> bool:
    """Say whether a name belongs to the held-out side; always the same for the same name."""
    return zlib.crc32(name.encode()) % HELD_OUT_SHARE == 0


class Writer:
    """Write sentences of one side, out of one stream of random numbers.

    Args:
        stream: Where the random choices come from.
        held: Whether to write held-out sentences: other templates, other names.
        rare: Characters to put into some names, so that every one of the vocabulary is met now and then.
    """

    def __init__(self, stream: random.Random, *, held: bool, rare: str = "") -> None:
        self._random = stream
        self._held = held
        self._rare = rare
        self._templates = HELD_OUT_TEMPLATES if held else TEMPLATES
        self._plain = HELD_OUT_PLAIN if held else PLAIN

    def _mine(self, name: str) -> bool:
        return held_out(name) == self._held

    def _sprinkle(self, text: str, share: float) -> str:
        if not self._rare or self._random.random() >= share:
            return text
        place = self._random.randrange(len(text))
        return text[:place] + self._random.choice(self._rare) + text[place + 1 :]

    def person(self) -> str:
        """Make up a person's name."""
        pick = self._random
        while True:
            kind = pick.random()
            if kind < 0.08:
                name = "".join(pick.choices(FOREIGN, k=pick.randint(2, 4)))
                if pick.random() < 0.5:
                    name += "·" + "".join(pick.choices(FOREIGN, k=pick.randint(2, 4)))
            elif kind < 0.12:
                name = pick.choice("小老阿") + pick.choice(SURNAMES if pick.random() < 0.6 else GIVEN)
            else:
                # The most frequent surnames stand first, and are drawn more often.
                surname = pick.choice(SURNAMES[:60] if pick.random() < 0.5 else SURNAMES)
                if pick.random() < 0.06:
                    surname = pick.choice(COMPOUND_SURNAMES)
                count = 2 if pick.random() < 0.72 else 1
                given = self._sprinkle("".join(pick.choices(GIVEN, k=count)), 0.25)
                if count == 2 and pick.random() < 0.05:
                    given = given[0] * 2
                name = surname + given
            if self._mine(name):
                return name

    def place(self) -> str:
        """Choose a place, or make one up."""
        pick = self._random
        while True:
            kind = pick.random()
            if kind < 0.15 and not self._held:
                stem = pick.choice(FAMOUS)
                return stem + (pick.choice("市省区") if pick.random() < 0.1 else "")
            if kind < 0.55:
                stem = pick.choice(PLACES)
                end = pick.choice("省市县州") if pick.random() < 0.15 and len(stem) < 4 else ""
            else:
                stem = self._sprinkle("".join(pick.choices(PLACE_STEMS, k=2 if pick.random() < 0.8 else 1)), 0.3)
                end = pick.choice(PLACE_ENDS)
                if len(stem) == 1 and len(end) == 1 and end not in "县州江河山岛":
                    continue
            if not self._mine(stem):
                continue
            whole = stem + end
            if pick.random() < 0.12:
                outer = pick.choice(PLACES if self._held else FAMOUS + PLACES)
                if self._mine(outer) or (outer in FAMOUS and not self._held):
                    return outer + pick.choice(("", "省", "市")) + whole
            return whole

    def organisation(self) -> str:
        """Choose an organisation, or make one up."""
        pick = self._random
        while True:
            kind = pick.random()
            if kind < 0.15:
                name = pick.choice(FAMOUS_ORGS)
                # The first two are what readers will try, and stay on the side of training.
                if name in FAMOUS_ORGS[:2]:
                    if self._held:
                        continue
                    return name
                if self._mine(name):
                    return name
            elif kind < 0.6:
                stem = self._sprinkle("".join(pick.choices(ORG_STEMS, k=2 if pick.random() < 0.8 else 3)), 0.3)
                if self._mine(stem):
                    place = self.place_for_name() if pick.random() < 0.35 else ""
                    return place + stem + pick.choice(ORG_KINDS)
            else:
                return self.place_for_name() + pick.choice(PUBLIC_KINDS)

    def place_for_name(self) -> str:
        """Choose a place that an organisation is called after."""
        pick = self._random
        while True:
            if pick.random() < 0.75:
                stem = pick.choice(PLACES if self._held else FAMOUS * 4 + PLACES)
                whole = stem + (pick.choice("省市") if pick.random() < 0.25 else "")
            else:
                stem = "".join(pick.choices(PLACE_STEMS, k=2))
                whole = stem + pick.choice(("", "市", "县", "区", "省", "镇"))
            if self._mine(stem) or (stem in FAMOUS and not self._held):
                return whole

    def _number(self) -> str:
        pick = self._random
        kind = pick.random()
        if kind < 0.4:
            return str(pick.randint(1, 99))
        if kind < 0.7:
            return str(pick.randint(100, 3000))
        return "".join(pick.choices("一二三四五六七八九十百千万两几", k=pick.randint(1, 3)))

    def _fill(self, template: str) -> Sentence:
        text: list[str] = []
        length = 0
        found: list[tuple[str, int, int]] = []
        names = {"P": ("PER", self.person), "L": ("LOC", self.place), "O": ("ORG", self.organisation)}
        words = {"T": TIMES, "J": JOBS, "W": WORDS, "A": ADJECTIVES}
        for number, piece in enumerate(template.replace("}", "{").split("{")):
            filled = piece
            if number % 2:  # between two braces
                if piece in names:
                    kind, make = names[piece]
                    filled = make()
                    found.append((kind, length, length + len(filled)))
                elif piece == "N":
                    filled = self._number()
                else:
                    filled = self._random.choice(words[piece])
                    if not self._held:
                        filled = self._sprinkle(filled, 0.1)
            text.append(filled)
            length += len(filled)
        return Sentence("".join(text), tuple(found))

    def _clause(self) -> Sentence:
        pick = self._random
        sentence = self._fill(pick.choice(self._plain if pick.random() < 0.12 else self._templates))
        if pick.random() < 0.15 and not self._held:
            opening = pick.choice((*TIMES, "据说", "听说", "其实", "但是", "因为", "所以", "虽然", "如果", "有一天", "同时", "另外"))
            opening += pick.choice(("", "，"))
            sentence = Sentence(
                opening + sentence.text, tuple((k, b + len(opening), e + len(opening)) for k, b, e in sentence.entities)
            )
        return sentence

    def sentence(self, longest: int) -> Sentence:
        """Write a sentence of one or more clauses, and of at most so many characters."""
        pick = self._random
        while True:
            whole = self._clause()
            while pick.random() < (0.85 if longest > 60 else 0.25):
                more = self._clause()
                joint = pick.choice("，。；，、") if pick.random() < 0.9 else ""
                shift = len(whole.text) + len(joint)
                if shift + len(more.text) > longest - 1:
                    break
                whole = Sentence(
                    whole.text + joint + more.text,
                    (*whole.entities, *((k, b + shift, e + shift) for k, b, e in more.entities)),
                )
            text = whole.text + pick.choice(ENDINGS)
            if len(text) <= longest:
                return Sentence(text, whole.entities)


def tags(sentence: Sentence, length: int) -> list[int]:
    """Return the tags of an encoded sentence, ``[CLS]`` first, padded to a length with ``O``."""
    found = [0] * length
    for kind, begin, end in sentence.entities:
        found[begin + 1] = LABELS.index(f"B-{kind}")
        for place in range(begin + 1, end):
            found[place + 1] = LABELS.index(f"I-{kind}")
    return found


def characters() -> list[str]:
    """Return the characters of the vocabulary, the most ordinary Chinese ones and what stands between them."""
    # GB 2312 orders its first level, the 3,755 most frequent characters, in rows 16 to 55 of 94.
    level = [bytes((row + 0xA0, cell + 0xA0)) for row in range(16, 56) for cell in range(1, 95)]
    common = "".join(pair.decode("gb2312", errors="ignore") for pair in level)
    marks = "，。！？；：、“”‘’（）《》【】—…·～,.!?;:'\"()<>-_/%&+=#@*0123456789abcdefghijklmnopqrstuvwxyz"
    written = "".join((*TEMPLATES, *PLAIN, SURNAMES, *COMPOUND_SURNAMES, GIVEN, FOREIGN, *FAMOUS, *PLACES, PLACE_STEMS, *PLACE_ENDS))
    written += "".join((ORG_STEMS, *FAMOUS_ORGS, *ORG_KINDS, *PUBLIC_KINDS, *TIMES, *JOBS, *WORDS, *ADJECTIVES))
    more = "琪涵瑶昊睿妍婷晗璇珂嫣瑾瑜晟煜炜钰彬俞岚菡芸茜萱雯霖骏嘉邕泸衢亳漯濮荥淄莒鄞甬粤冀豫鄂皖赣闽琼渝喵咖啡嗨"
    seen = dict.fromkeys(marks + common + written + more)
    return [char for char in seen if not char.isspace() and char not in "{}" and not ("A" <= char <= "Z")]
